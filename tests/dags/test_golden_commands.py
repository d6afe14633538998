"""The exact spark-submit command of every Spark task; `make golden` rewrites the files."""

import shlex
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from millpond.airflow.operators import YarnSparkOperator
from millpond.catalog.partitions import Hour
from millpond.catalog.tables import HOUR
from millpond.run import Run
from tests.dags.conftest import all_dags

GOLDEN = Path(__file__).parent / "golden"
RUN = Run(date(2026, 11, 22), "0199-generation", 1, "scheduled__2026-11-23", "/millpond")
HOURLY_RUN = replace(RUN, partition=Hour.parse("2026-11-22T07"))
TAGS = ("mp-local-generation", "mp-local-target")

TASKS = {
    f"{dag.dag_id}.{task.task_id}": task
    for dag in all_dags()
    for task in dag.tasks
    if isinstance(task, YarnSparkOperator)
}


@pytest.mark.parametrize("name", sorted(TASKS))
def test_the_command_is_the_golden_one(name: str, request: pytest.FixtureRequest) -> None:
    # One argument a line, so that a change is read as what it is.
    run = HOURLY_RUN if TASKS[name].table.partition == HOUR else RUN
    command = "".join(f"{shlex.quote(part)}\n" for part in TASKS[name].command(run, TAGS))
    file = GOLDEN / f"{name}.txt"
    if request.config.getoption("--golden-refresh"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(command)
    assert command == file.read_text(), "if the change is meant: make golden"


def test_no_golden_file_lacks_its_task() -> None:
    assert sorted(file.stem for file in GOLDEN.glob("*.txt")) == sorted(TASKS)
