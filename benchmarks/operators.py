"""The stock Spark operator and ours side by side: the same application, the same platform.

    python benchmarks/operators.py [--runs N]

It starts a platform of its own, as the tests do (MILLPOND_TEST_HOME keeps it), runs an application
N times with each operator, then clears, kills and ends workers, and writes
docs/explanation/operators-side-by-side.md.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

import psutil

from millpond.catalog.settings import PROJECT_DIR, Settings
from tests.faults.holding import Held, Hold
from tests.integration.local_platform import Platform, environment, free_port_base

PAGE = PROJECT_DIR / "docs" / "explanation" / "operators-side-by-side.md"
OPERATORS = {"stock": "held_stock", "ours": "held"}
# The promise is 15 s; what still runs after this is left.
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Run:
    """The seconds of one run."""

    to_submission: float
    to_notice: float


def main() -> None:
    """Measure both and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with running_platform() as platform:
        hold = Hold(platform)
        times = {name: [timed(hold(dag)) for _ in range(runs)] for name, dag in OPERATORS.items()}
        behaviour = {name: behave(hold, dag) for name, dag in OPERATORS.items()}
        hold.end()
    PAGE.write_text(page(runs, times, behaviour))


@contextmanager
def running_platform() -> Iterator[Platform]:
    """A platform with the held DAGs."""
    kept = os.environ.get("MILLPOND_TEST_HOME")
    home = Path(kept or tempfile.mkdtemp(prefix="mp-"))
    ports = home / "port-base"
    if not ports.exists():
        ports.write_text(str(free_port_base()))
    environ = environment(home, int(ports.read_text()), home / "data")
    platform = Platform(Settings.from_env(environ), environ)
    assert platform.millpond("up").returncode == 0
    yield platform
    if not kept:
        platform.millpond("down")


def timed(held: Held) -> Run:
    """From the task's start to YARN's acceptance, and from YARN's end to Airflow's."""
    held.release(1)
    held.reaches("success")
    [application] = held.applications()
    task = held.api._dag("GET", f"dagRuns/{held.run_id}/taskInstances/held")  # noqa: SLF001
    began, ended = (
        datetime.fromisoformat(task[moment]).timestamp() for moment in ("start_date", "end_date")
    )
    return Run(application.started / 1000 - began, ended - application.finished / 1000)


def behave(hold: Hold, dag: str) -> list[str]:
    """What becomes of the application in each case, in words."""
    return [_cleared(hold(dag)), _killed(hold(dag)), *_left_by_its_worker(hold(dag))]


def _cleared(held: Held) -> str:
    held.release(1)
    held.reaches("success")
    before, began = held.task.attempt, time.time()
    held.clear()
    held.reaches("success", attempt=before + 1)
    count = len(held.applications()) - 1
    return f"{count} new application{'' if count == 1 else 's'}, green after {_since(began)}"


def _killed(held: Held) -> str:
    held.running()
    return _end_of_marked(held)


def _left_by_its_worker(held: Held) -> tuple[str, str]:
    held.running()
    held.process().kill()
    held.reaches("running", attempt=2)
    time.sleep(10)  # by then each has found its application again, or submitted another
    others = len(held.applications()) - 1
    found = f"{others} more submitted" if others else "found again"
    return found, _end_of_marked(held)


def _end_of_marked(held: Held) -> str:
    began = time.time()
    held.mark("failed")
    deadline = began + PATIENCE_SECONDS
    while time.time() < deadline:
        if not any(app.is_live for app in held.applications()):
            return f"KILLED after {_since(began)}"
        time.sleep(0.2)
    return f"still running after {PATIENCE_SECONDS:.0f} s"


def _since(began: float) -> str:
    return f"{time.time() - began:.1f} s"


CASES = (
    "clear a task that has succeeded",
    "mark a running task failed",
    "kill -9 the task's process: its retry",
    "mark that retry failed",
)


def page(runs: int, times: dict[str, list[Run]], behaviour: dict[str, list[str]]) -> str:
    """The page, with figures and where they are from."""
    rows = [
        ("task start to submission", [[run.to_submission for run in times[n]] for n in OPERATORS]),
        ("FINISHED to success", [[run.to_notice for run in times[n]] for n in OPERATORS]),
    ]
    timing = [f"| {what} | {' | '.join(map(_spread, both))} |" for what, both in rows]
    cases = [
        f"| {case} | {' | '.join(behaviour[name][n] for name in OPERATORS)} |"
        for n, case in enumerate(CASES)
    ]
    provider, airflow = version("apache-airflow-providers-apache-spark"), version("apache-airflow")
    memory = psutil.virtual_memory().total / 2**30
    where = f"{psutil.cpu_count()} cores and {memory:.0f} GiB, shared with other work"
    return f"""\
# The stock operator and ours, side by side

<!-- Written by `python benchmarks/operators.py`; changes by hand are lost. -->

`SparkSubmitOperator` of provider {provider} as its documents have it (`yarn_track_via_rm_api=True`,
durable) beside `YarnSparkOperator`: the same small application, Airflow {airflow}, the local
platform on {where}. {runs} runs each, {datetime.now(UTC).date()}.
Seconds: least / median / most.

| | stock | ours |
|---|---|---|
{chr(10).join(timing)}

Each of these was done once:

| | stock | ours |
|---|---|---|
{chr(10).join(cases)}

The stock operator keeps the application's id in the task's state store, and takes one that is there
for work that is done. It polls every 10 s at the most often. [Retries, clears and
generations](generations.md) says what ours does instead.
"""


def _spread(seconds: list[float]) -> str:
    return f"{min(seconds):.1f} / {median(seconds):.1f} / {max(seconds):.1f}"


if __name__ == "__main__":
    main()
