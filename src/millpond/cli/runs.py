"""`millpond run`: a DAG's run, followed to its end, and what it published."""

import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import typer

from millpond.catalog.analyses import ANALYSES, Analysis
from millpond.catalog.datasets import dataset
from millpond.catalog.partitions import Partition
from millpond.catalog.settings import Settings
from millpond.catalog.tables import Table
from millpond.cli.airflow_api import AirflowApi, ExistsError
from millpond.cli.console import amount, by_name, day, messages, settings
from millpond.errors import MillpondError
from millpond.lake.hdfs import Hdfs
from millpond.lake.manifests import find_manifest
from millpond.lake.receipts import Receipt, Receipts
from millpond.lake.tables import StoredTable
from millpond.run import code_version
from millpond.staging.stage import is_current

POLL_SECONDS = 1.0
LAST_LINES = 15
# On the way to running; there are too many tasks to tell each step of each.
UNTOLD = ("waiting", "scheduled", "queued")

Ds = Annotated[str | None, typer.Option(help="YYYY-MM-DD; yesterday by default")]


def run(
    ds: Ds = None,
    only: Annotated[list[str] | None, typer.Option(help="an analysis; repeatable")] = None,
    restage: Annotated[bool, typer.Option(help="take the undated source file anew")] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="NAME=VALUE of a parameter, such as als_rank=20; repeatable"),
    ] = None,
) -> None:
    """Run the daily DAG for a date and follow it to its end."""
    here = settings()
    chosen = finished_day(ds)
    wanted = [_known(name) for name in only or ()]
    analyses = wanted or list(ANALYSES)
    params = {
        "only": [of.name for of in wanted],
        "restage": restage,
        "set": dict(_parameter(text, analyses) for text in set_ or ()),
    }
    run_day(here, chosen, params)
    receipts = latest_receipts(here, chosen, analyses)
    _say_published(receipts, analyses)
    say_warnings(receipts)
    _warn_of_other_sources(here, chosen, analyses)


def run_day(here: Settings, ds: date, params: Mapping[str, Any]) -> None:
    """Run the DAG for a date and wait.

    A plain run owns the day's interval, as a scheduled one does: it is created, followed if it is
    on its way, or cleared. A run with params, of the DAG's, stands outside the schedule.

    Raises:
        MillpondError: It failed; the sentence ends with what the failed task said last.
    """
    api = AirflowApi(here)
    if any(params.values()):
        follow(api, api.create_run_with({"ds": str(ds), **params}))
    else:
        run_own(api, ds)


def run_own(api: AirflowApi, partition: Partition) -> None:
    """Have the run that owns the interval of a day or an hour compute everything, and wait.

    Raises:
        MillpondError: It failed; the sentence ends with what the failed task said last.
    """
    follow(api, _own_interval(api, partition))


def _own_interval(api: AirflowApi, partition: Partition) -> str:
    existing = api.find_run(partition)
    if existing is None:
        try:
            return api.create_run(partition)
        except ExistsError:  # the scheduler, or another command, has made it since
            existing = api.find_run(partition)
            if existing is None:
                raise
    run_id = str(existing["dag_run_id"])
    if existing["state"] in ("queued", "running"):
        messages.print(f"the run of {partition} is on its way already")
    else:
        messages.print(f"clearing the run of {partition}: everything is computed anew")
        api.clear(run_id)
    return run_id


def follow(api: AirflowApi, run_id: str) -> None:
    """Have the scheduler run what waits, say each step of a run, and return when it has succeeded.

    Raises:
        MillpondError: It failed; the sentence ends with what the failed task said last.
    """
    api.unpause()
    messages.print(f"following {api.page(run_id)}")
    shown: dict[str, str] = {}
    while True:
        state, tasks = api.state(run_id), api.tasks(run_id)
        for task in tasks:
            told = task.state if task.attempt < 2 else f"{task.state} (try {task.attempt})"
            if task.state not in UNTOLD and shown.get(task.name) != told:
                shown[task.name] = told
                messages.print(f"{datetime.now(UTC):%H:%M:%S} {task.name} {told}")
        if state == "success":
            return
        if state == "failed":
            _explain(api, run_id)
        time.sleep(POLL_SECONDS)


def _explain(api: AirflowApi, run_id: str) -> None:
    failed = [task for task in api.tasks(run_id) if task.state == "failed"]
    lines = [line for task in failed for line in api.log(run_id, task)[-LAST_LINES:]]
    names = ", ".join(task.name for task in failed) or "the run itself"
    last = "".join(f"\n    {line}" for line in lines)
    raise MillpondError(f"{names} failed; see {api.page(run_id)}{last}")


def finished_day(ds: str | None) -> date:
    """The day that is written so, or yesterday; MillpondError if it is not over."""
    today = datetime.now(UTC).date()
    chosen = day(ds) if ds else today - timedelta(days=1)
    if chosen >= today:
        raise MillpondError(
            f"{chosen} is not over yet (it is {today} in UTC); the latest day to run is "
            f"{today - timedelta(days=1)}"
        )
    return chosen


def _known(name: str) -> Analysis:
    return by_name("analysis", name, {of.name: of for of in ANALYSES})


def _parameter(text: str, analyses: list[Analysis]) -> tuple[str, float]:
    name, equals, value = text.partition("=")
    if not equals:
        raise MillpondError(f"--set is {text!r}; write NAME=VALUE, such as als_rank=20")
    known = {parameter.name: parameter for of in analyses for parameter in of.parameters}
    return name, by_name("parameter of these analyses", name, known).parse(value)


def latest_receipts(here: Settings, ds: date, analyses: list[Analysis]) -> list[Receipt]:
    """What counts for a date: of the clean rows that analyses read, then of their marts."""
    inputs = (dataset(name).clean for name in _inputs(analyses))
    tables = (*inputs, *(of.mart for of in analyses))
    found = (_latest_receipt(here, table, ds) for table in tables)
    return [receipt for receipt in found if receipt]


def _inputs(analyses: list[Analysis]) -> list[str]:
    return sorted({name for of in analyses for name in of.inputs})


def _say_published(receipts: list[Receipt], analyses: list[Analysis]) -> None:
    marts = {of.name for of in analyses}
    for of in receipts:
        if of.table in marts and not of.is_refusal:
            rows = amount(of.rows["out"], "row")
            messages.print(f"{of.table}: {rows}; `millpond show {of.table} --ds {of.ds}`")


def say_warnings(receipts: list[Receipt]) -> None:
    """Checks that failed without stopping a table, and tables that were not published by rule."""
    for receipt in receipts:
        kept = " was refused, what it had stays" if receipt.is_refusal else ""
        for check in receipt.checks:
            if not check.passed:
                said = f"warning: {receipt.table} {receipt.ds}{kept}: {check}"
                messages.print(said, markup=False)


def _warn_of_other_sources(here: Settings, ds: date, analyses: list[Analysis]) -> None:
    for name in _inputs(analyses):
        manifest = find_manifest(Hdfs(here.hdfs_url), here.root, name, ds)
        if manifest and not manifest.source.startswith(f"{here.data_dir}/"):
            messages.print(
                f"note: {name} of {ds} was read from {manifest.source}, not from {here.data_dir}: "
                "Airflow has another MILLPOND_DATA_DIR, or the date keeps what it had"
            )


def is_computed(here: Settings, of: Analysis, ds: date) -> bool:
    """Whether a mart was last computed from the inputs and the code that a run would use."""
    mart = _latest_receipt(here, of.mart, ds)
    if mart is None or mart.settings or mart.code_version != _code(here, of.name):
        return False
    inputs = {source.path: source for source in mart.inputs}
    for name in of.inputs:
        clean = _latest_receipt(here, dataset(name).clean, ds)
        source = inputs.get(f"{here.root}/{dataset(name).clean.path}")
        if clean is None or source is None or source.number != clean.number:
            return False
        if clean.code_version != _code(here, "conform_dataset"):
            return False
        if not is_current(dataset(name), ds, here):
            return False
    return True


def _latest_receipt(here: Settings, table: Table, ds: date) -> Receipt | None:
    """The date's current receipt, or that of a later refusal to publish."""
    receipts = Receipts.of(here, table, ds)
    return next(iter(receipts.standing(StoredTable.of(here, table).number(ds))), None)


def _code(here: Settings, application: str) -> str:
    return code_version(here.apps_dir / f"{application}.py")
