"""The stock Spark operator and ours side by side: the same application, the same platform.

    python -m benchmarks.operators stock --runs 5
    python -m benchmarks.operators ours --runs 5

It starts a platform of its own, as the tests do (MILLPOND_TEST_HOME keeps it), runs an application
N times, then clears it, kills it and ends its worker. Once both operators have been measured it
writes docs/explanation/operators-side-by-side.md.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from millpond.catalog.settings import PROJECT_DIR, Settings
from tests.faults.holding import Held, Hold
from tests.integration.local_platform import Platform, environment, free_port_base

MEASURED = PROJECT_DIR / "build" / "operators"
PAGE = PROJECT_DIR / "docs" / "explanation" / "operators-side-by-side.md"
OPERATORS = {"stock": "held_stock", "ours": "held"}
# The promise is 15 s; what still runs after this is left.
PATIENCE_SECONDS = 30.0


def main() -> None:
    """Measure one operator; write the page if the other has been measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("operator", choices=OPERATORS)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    with running_platform() as platform:
        hold = Hold(platform)
        measured = measure(hold, OPERATORS[arguments.operator], arguments.runs)
        hold.end()
    MEASURED.mkdir(parents=True, exist_ok=True)
    (MEASURED / f"{arguments.operator}.json").write_text(json.dumps(measured, indent=2))
    files = {name: MEASURED / f"{name}.json" for name in OPERATORS}
    if all(file.exists() for file in files.values()):
        PAGE.write_text(page({name: json.loads(file.read_text()) for name, file in files.items()}))


def measure(hold: Hold, dag_id: str, runs: int) -> dict[str, Any]:
    """The seconds of each run by phase, and what becomes of the application in each case."""
    finished = []
    for _ in range(runs):
        held = hold(dag_id)
        held.release(1)
        held.reaches("success")
        finished.append(held)
    times = [timed(held) for held in finished]
    cases = [cleared(finished[-1]), killed(hold(dag_id)), *left_by_its_worker(hold(dag_id))]
    return {"times": times, "cases": cases}


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


def timed(held: Held) -> dict[str, float]:
    """From the task's start to YARN's acceptance, and from YARN's end to Airflow's."""
    [application] = held.applications()
    task = held.api._dag("GET", f"dagRuns/{held.run_id}/taskInstances/held")  # noqa: SLF001
    began, ended = (
        datetime.fromisoformat(task[moment]).timestamp() for moment in ("start_date", "end_date")
    )
    return {
        "task start to submission": application.started / 1000 - began,
        "FINISHED to success": ended - application.finished / 1000,
    }


def cleared(held: Held) -> str:
    """Clear a task that has succeeded."""
    before, began = held.task.attempt, time.time()
    held.clear()
    held.reaches("success", attempt=before + 1)
    count = len(held.applications()) - 1
    return f"{count} new application{'' if count == 1 else 's'}, green after {_since(began)}"


def killed(held: Held) -> str:
    """Mark a running task failed."""
    held.running()
    return _end_of_marked(held)


def left_by_its_worker(held: Held) -> tuple[str, str]:
    """Kill a task's process, and mark its retry failed."""
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


def page(measured: dict[str, dict[str, Any]]) -> str:
    """The page, with figures and where they are from."""
    both = [measured[name] for name in OPERATORS]
    timing = [
        f"| {what} | {' | '.join(_spread([run[what] for run in of['times']]) for of in both)} |"
        for what in both[0]["times"][0]
    ]
    cases = [
        f"| {case} | {' | '.join(of['cases'][n] for of in both)} |" for n, case in enumerate(CASES)
    ]
    runs = " and ".join(str(len(of["times"])) for of in both)
    provider, airflow = version("apache-airflow-providers-apache-spark"), version("apache-airflow")
    memory = psutil.virtual_memory().total / 2**30
    where = f"{psutil.cpu_count()} cores and {memory:.0f} GiB, shared with other work"
    return f"""\
# The stock operator and ours, side by side

<!-- Written by `python -m benchmarks.operators`; changes by hand are lost. -->

`SparkSubmitOperator` of provider {provider} as its documents have it (`yarn_track_via_rm_api=True`,
durable) beside `YarnSparkOperator`: the same small application, Airflow {airflow}, the local
platform on {where}. {runs} runs, {datetime.now(UTC).date()}.
Seconds: least / median / most.

| | stock | ours |
|---|---|---|
{chr(10).join(timing)}

Both start the same `spark-submit`, one operator after the other: what differs in the first row is
what else the machine did.

Each of these was done once:

| | stock | ours |
|---|---|---|
{chr(10).join(cases)}

A task hears of a mark at its next heartbeat, of which there is one every 5 s: that part of the
seconds is chance, and the same for both.

The stock operator keeps the application's id in the task's state store, and takes one that is there
for work that is done. It polls every 10 s at the most often. [Retries, clears and
generations](generations.md) says what ours does instead.
"""


def _spread(seconds: list[float]) -> str:
    return f"{min(seconds):.1f} / {median(seconds):.1f} / {max(seconds):.1f}"


if __name__ == "__main__":
    main()
