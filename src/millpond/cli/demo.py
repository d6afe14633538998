"""`millpond demo`: a day of every analysis and an hour of interactions, run and shown."""

import json
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from millpond.catalog.analyses import ANALYSES
from millpond.catalog.interactions import BALANCE
from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.cli.airflow_api import HOURLY, AirflowApi
from millpond.cli.console import Format, messages, output, settings
from millpond.cli.interactions import produce, truth_file
from millpond.cli.runs import (
    Ds,
    finished_day,
    is_computed,
    latest_receipts,
    run_day,
    run_own,
    say_warnings,
)
from millpond.cli.tables import print_rows
from millpond.cluster.config import at
from millpond.cluster.health import fetch_json
from millpond.interactions.ledger import Ledger
from millpond.lake.tables import StoredTable

ROWS = 10


def demo(ds: Ds = None) -> None:
    """Run the daily DAG and an hour of interactions unless their results are current; show them."""
    here = settings()
    day, hour = finished_day(ds), _hour(here)
    if all(is_computed(here, each, day) for each in ANALYSES):
        messages.print(f"the results of {day} are of the same inputs and code: nothing to run")
    else:
        run_day(here, day, {})
    if StoredTable.of(here, BALANCE).number(hour):
        messages.print(f"the interactions of {hour} are counted and delivered: nothing to run")
    else:
        run_own(AirflowApi(here, HOURLY), hour)
    say_warnings(latest_receipts(here, day, list(ANALYSES)))
    _show_day(here, day)
    _show_hour(here, hour)
    _print_addresses(here)


def _hour(here: Settings) -> Hour:
    """The hour that has been filled with made-up interactions, or is now."""
    truth = truth_file(here)
    if truth.exists():
        return Hour.parse(max(json.loads(truth.read_text())["hours"]))
    last = Hour.of(datetime.now(UTC) - timedelta(hours=1))
    sealed = Ledger(here.ledger_url).sealed(here.interactions_topic)
    if sealed and sealed.hour and sealed.hour >= last:
        return sealed.hour  # what came now would be of a later hour
    produce()
    return last


def _show_day(here: Settings, day: date) -> None:
    for each in ANALYSES:
        rows = StoredTable.of(here, each.mart).read(day)
        output.print(f"\n{each.question} ({each.name}, {day})")
        print_rows(rows.slice(0, ROWS), Format.TABLE)


def _show_hour(here: Settings, hour: Hour) -> None:
    output.print(f"\nWhat became of the interactions of {hour}? ({BALANCE.name})")
    [balance] = StoredTable.of(here, BALANCE).read(hour).to_pylist()
    figures = [{"figure": name, "number": n} for name, n in balance.items() if name != "hour"]
    print_rows(pa.Table.from_pylist(figures), Format.TABLE)
    output.print("\nWhich customers had most interactions, as the customer service was told?")
    print_rows(pa.Table.from_pylist(_held(here)[:ROWS]), Format.TABLE)


def _held(here: Settings) -> list[dict[str, str | int]]:
    """What the platform's own customer service holds, the greatest counts first."""
    counts: dict[str, int] = fetch_json(f"http://{at(here, 'customer-service')}/counts")
    ranked = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return [{"customer_id": id_, "interactions": n} for id_, n in ranked]


def _print_addresses(here: Settings) -> None:
    namenode = f"http://{at(here, 'namenode-http')}"
    messages.print(
        f"\nAirflow        {here.airflow_url} (user {here.airflow_user}, password in "
        f"{here.airflow_passwords})\nYARN           {here.yarn_url}\nHDFS           {namenode}\n"
        f"Spark history  {here.history_url}\n\n`make down` stops everything; the data stays."
    )
