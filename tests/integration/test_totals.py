"""Hours' tables on HDFS become totals in the ledger, and the other way round."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hdfs_native import Client

from millpond.catalog.interactions import ANONYMOUS, COUNTS, TABLES
from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.catalog.tables import Table
from millpond.cluster import postgres
from millpond.errors import BadInputError, CheckFailedError, MillpondError
from millpond.interactions.apply import apply_hour
from millpond.interactions.counted import keys_of, read_names
from millpond.interactions.erase import erase
from millpond.interactions.ledger import Ledger
from millpond.interactions.reconcile import reconcile
from millpond.interactions.resolve import Answer, Found, NotFound, resolve_hour
from millpond.interactions.schema import CUSTOMER
from millpond.lake.publishing import Publisher
from millpond.lake.tables import StoredTable, arrow_schema
from tests.integration.local_platform import Platform, apart

ONE = Hour.parse("2026-11-22T01")
TWO = ONE.next
Person = tuple[str, str, str | None, str | None]
ZOE: Person = ("Lefèvre", "Zoé", "1981-02-03", "Paris")
ELSEWHERE: Person = (" LEFÈVRE", "zoé", "1981-02-03", None)
PAUL: Person = ("Martin", "Paul", None, None)


def rows_of(table: Table, rows: Sequence[Mapping[str, object]], hour: Hour) -> pa.Table:
    dated = [{**row, "hour": str(hour)} for row in rows]
    return pa.Table.from_pylist(dated, schema=arrow_schema(table))


@dataclass(frozen=True)
class Totals:
    """A root and a ledger of a test's own."""

    platform: Platform

    @property
    def settings(self) -> Settings:
        return self.platform.settings

    def publish(
        self, hour: Hour, customers: dict[str, int], persons: dict[Person, int], bad: int = 0
    ) -> None:
        """The tables of an hour, as a count publishes them."""
        publisher = Publisher(self.settings, hour, "test", "test")
        names = [column.name for column in ANONYMOUS.columns]
        anonymous = [dict(zip(names, (*p, n), strict=True)) for p, n in persons.items()]
        counts = [{"customer_id": id_, "interactions": n} for id_, n in customers.items()]
        publisher.publish(ANONYMOUS, rows_of(ANONYMOUS, anonymous, hour))
        counted, unnamed = sum(customers.values()), sum(persons.values())
        figures = {"counted": counted, "anonymous": unnamed, "quarantined": bad}
        figures["in"] = sum(figures.values())
        publisher.publish(COUNTS, rows_of(COUNTS, counts, hour), counts=figures)

    def totals(self) -> dict[str, int]:
        with Ledger(self.settings.ledger_url).transaction() as database:
            return {row.customer_id: row.total for row in database.execute(sa.select(CUSTOMER))}

    def person(self, of: Person) -> str:
        return keys_of(self.settings).person(*of[:3]).identity

    def show(self, table: str) -> list[dict[str, object]]:
        shown = self.platform.millpond("show", table, "--hour", str(ONE), "--format", "json")
        assert shown.returncode == 0, shown.stderr
        rows: list[dict[str, object]] = json.loads(shown.stdout)
        return rows


@pytest.fixture
def world(platform: Platform) -> Iterator[Totals]:
    name = f"totals_{uuid.uuid4().hex[:8]}"
    yield Totals(apart(platform, name))
    postgres.query(platform.settings, f"DROP DATABASE {name}")


def ask(first_name: str, last_name: str) -> Answer:
    return Found("7", first_name, last_name) if last_name.casefold() == "lefèvre" else NotFound()


def test_an_hour_is_resolved_applied_and_reconciled(world: Totals) -> None:
    world.publish(ONE, {"7": 1, '"c"': 2}, {ZOE: 10, ELSEWHERE: 20, PAUL: 40}, bad=3)
    resolve_hour(world.settings, ONE, ask)
    apply_hour(world.settings, ONE)
    assert world.totals() == {"7": 1 + 10 + 20, '"c"': 2}
    reconcile(world.settings, ONE, "a-run")
    [balance] = world.show("interactions_balance")
    assert (balance["rows"], balance["quarantined"]) == (1 + 2 + 10 + 20 + 40 + 3, 3)
    assert balance["assigned"] == balance["totals"] == 1 + 2 + 10 + 20
    totals = world.show("interactions_totals")
    assert {row["customer_id"]: row["total"] for row in totals} == world.totals()
    assert world.show("interactions_deliveries") == []
    receipt = world.platform.millpond("receipt", "interactions_balance", "--hour", str(ONE)).stdout
    assert all(check["passed"] for check in json.loads(receipt)["checks"])
    assert json.loads(receipt)["with_tables"].keys() == {
        "interactions_totals",
        "interactions_deliveries",
    }


def test_an_hour_that_does_not_balance_is_refused_with_its_figures(world: Totals) -> None:
    with pytest.raises(BadInputError, match=f"{ONE} has not been counted; run count for"):
        reconcile(world.settings, ONE, "a-run")
    world.publish(ONE, {"7": 1}, {})
    with pytest.raises(CheckFailedError, match="interactions_not_contributed is 1, which must be"):
        reconcile(world.settings, ONE, "a-run")
    receipt = world.platform.millpond("receipt", "interactions_balance", "--hour", str(ONE)).stdout
    assert json.loads(receipt)["outcome"] == "refused"
    apply_hour(world.settings, ONE)
    reconcile(world.settings, ONE, "a-run")


def test_tables_that_are_not_what_their_receipt_says_are_not_applied(world: Totals) -> None:
    world.publish(ONE, {"7": 1}, {ZOE: 10, PAUL: 2})
    rows = pa.Table.from_pylist([], schema=arrow_schema(ANONYMOUS))
    Publisher(world.settings, ONE, "test", "test").publish(ANONYMOUS, rows)
    with pytest.raises(MillpondError, match="have 1 interactions with an id and 0 without, where"):
        apply_hour(world.settings, ONE)
    assert world.totals() == {}


def test_an_audit_agrees_and_finds_a_total_that_somebody_changed(world: Totals) -> None:
    world.publish(ONE, {"7": 1}, {ZOE: 10})
    world.publish(TWO, {"7": 5, "8": 6}, {})
    for hour in (ONE, TWO):
        resolve_hour(world.settings, hour, ask)
        apply_hour(world.settings, hour)
    agreed = world.platform.millpond("interactions", "audit")
    assert agreed.stderr == "2 hours and the totals of 2 customers agree\n"
    with Ledger(world.settings.ledger_url).transaction() as database:
        database.execute(sa.update(CUSTOMER).values(total=CUSTOMER.c.total + 1))
    differs = world.platform.millpond("interactions", "audit")
    assert differs.returncode == CheckFailedError.exit_code
    assert f"the total of customer 7 is {1 + 10 + 5 + 1}, and should be 16" in differs.stderr


def test_who_decides_sees_the_names(world: Totals) -> None:
    world.publish(ONE, {}, {PAUL: 1})
    apply_hour(world.settings, ONE)
    shown = world.platform.millpond("interactions", "resolve", world.person(PAUL)).stdout
    assert "Martin" in shown
    assert "Lefèvre" not in shown


def stored_bytes(world: Totals) -> bytes:
    """Everything that lies below the root, logs and receipts included."""
    client = Client(world.settings.hdfs_url)
    found = client.list_status(world.settings.root, recursive=True)
    files = [world.platform.hdfs.read(entry.path) or b"" for entry in found if not entry.isdir]
    assert len(files) > len(TABLES)
    return b"".join(files)


def test_an_erased_person_is_nowhere_on_hdfs_and_counts_as_before(world: Totals) -> None:
    world.publish(ONE, {"7": 1}, {ZOE: 10, ELSEWHERE: 20, PAUL: 40})
    world.publish(ONE, {"7": 1}, {ZOE: 10, ELSEWHERE: 20, PAUL: 40})
    world.publish(TWO, {}, {PAUL: 1})
    for hour in (ONE, TWO):
        resolve_hour(world.settings, hour, ask)
        apply_hour(world.settings, hour)
    before = world.totals()
    assert "Lefèvre".encode() in stored_bytes(world)
    erased = world.platform.millpond("interactions", "erase", "7")
    assert erased.returncode == 0, erased.stderr
    assert erased.stderr.startswith("erased 2 rows of 1 hour, of 1 person; ")
    assert "not erased: messages of topic interact in Kafka" in erased.stderr
    left = stored_bytes(world)
    for name in ("Lefèvre", "LEFÈVRE", "1981-02-03"):
        assert name.encode() not in left
    assert b"Martin" in left
    assert world.totals() == before
    assert world.platform.millpond("interactions", "audit").returncode == 0
    paul = world.platform.millpond("interactions", "erase", world.person(PAUL))
    assert paul.stderr.startswith("erased 2 rows of 2 hours, of 1 person; ")
    assert b"Martin" not in stored_bytes(world)
    assert world.platform.millpond("interactions", "audit").returncode == 0


def test_a_count_that_comes_while_its_hour_is_erased_stays(
    world: Totals, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.publish(ONE, {}, {ZOE: 10, PAUL: 1})
    apply_hour(world.settings, ONE)
    read = StoredTable.read

    def count_after(stored: StoredTable, *of: Any) -> pa.Table:
        rows = read(stored, *of)
        monkeypatch.setattr(StoredTable, "read", read)
        world.publish(ONE, {}, {ZOE: 10, PAUL: 2})
        return rows

    monkeypatch.setattr(StoredTable, "read", count_after)
    with pytest.raises(MillpondError, match="that one's rows stay; erase again"):
        erase(world.settings, world.person(ZOE))
    stored = StoredTable.of(world.settings, ANONYMOUS)
    assert sum(stored.read(ONE).column("interactions").to_pylist()) == 10 + 2
    erase(world.settings, world.person(ZOE))
    assert sum(stored.read(ONE).column("interactions").to_pylist()) == 2


def test_names_are_found_in_the_newest_hour(world: Totals) -> None:
    world.publish(ONE, {}, {ZOE: 1, ELSEWHERE: 1})
    keys = keys_of(world.settings)
    [names] = read_names(world.settings, ONE, keys).values()
    assert (names.first, names.last) in {("Zoé", "Lefèvre"), ("zoé", "LEFÈVRE")}
