"""Where the time of an application goes: the phases of every Spark task over runs of a day.

    python benchmarks/phases.py [--ds D] [--runs N]

It needs the platform (`make up`), computes the day N times through Airflow and prints, per task
and phase, the least, the median and the most seconds, as the logs of the tasks have them.
"""

import argparse
import os
import re
from datetime import UTC, date, datetime, timedelta
from statistics import median

from rich.console import Console
from rich.table import Table

from millpond.catalog.settings import Settings
from millpond.cli.airflow_api import AirflowApi
from millpond.cli.runs import run_day

PHASES = ("submit", "wait", "session", "compute", "publish", "notice")


def measure(here: Settings, ds: date, runs: int) -> dict[str, list[dict[str, float]]]:
    """The seconds of each phase, by task, one entry per run."""
    seconds: dict[str, list[dict[str, float]]] = {}
    for _ in range(runs):
        run_day(here, ds, {})
        api = AirflowApi(here)
        run = api.find_run(ds)
        assert run is not None
        for task in api.tasks(run["dag_run_id"]):
            for line in api.log(run["dag_run_id"], task):
                if line.startswith("seconds: "):
                    found = {
                        name: float(value) for name, value in re.findall(r"(\w+) ([\d.]+)", line)
                    }
                    seconds.setdefault(task.name, []).append(found)
    return seconds


def show(seconds: dict[str, list[dict[str, float]]]) -> None:
    """Print least / median / most for each task and phase."""
    grid = Table(box=None)
    for heading in ("task", *PHASES, "sum"):
        grid.add_column(heading, justify="left" if heading == "task" else "right")
    for task, runs in seconds.items():
        columns = [[run[phase] for run in runs] for phase in PHASES]
        columns.append([sum(run[phase] for phase in PHASES) for run in runs])
        cells = (f"{min(c):.1f} / {median(c):.1f} / {max(c):.1f}" for c in columns)
        grid.add_row(task, *cells)
    Console(width=160).print(grid)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    parser.add_argument("--ds", type=date.fromisoformat, default=yesterday)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    show(measure(Settings.from_env(os.environ), arguments.ds, arguments.runs))


if __name__ == "__main__":
    main()
