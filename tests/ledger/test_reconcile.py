"""The four equations, each of them broken once."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from millpond.catalog.interactions import DELIVERIES, TOTALS
from millpond.interactions.apply import apply
from millpond.interactions.counted import CountedHour
from millpond.interactions.ledger import Ledger
from millpond.interactions.reconcile import (
    CHANGED_TOTALS,
    SENT,
    Balance,
    balance,
    checks,
    rows_of,
)
from millpond.interactions.schema import ATTEMPT, CHANGE, CUSTOMER, POSTER
from tests.ledger.world import EARLY, ONE, TWO, counted

GOOD = Balance(
    rows=10,
    counted=6,
    anonymous=3,
    quarantined=1,
    contributions=6 + 3,
    assigned=50,
    totals=50,
    changed=4,
    acked=4,
    dead=0,
    pending=0,
    overdue=0,
)


def wrong(of: Balance) -> dict[str, float | None]:
    """The figures that do not hold, by name."""
    return {check.name: check.figure for check in checks(of) if not check.passed}


def told(hour: CountedHour) -> dict[str, int]:
    """The rows of the receipt of its counts."""
    rows = {"counted": hour.counted, "anonymous": hour.anonymous, "quarantined": hour.quarantined}
    return {"in": hour.rows, **rows}


def update(ledger: Ledger, table: sa.Table, **values: Any) -> None:
    with ledger.transaction() as database:
        database.execute(sa.update(table).values(**values))


def test_what_agrees_is_not_wrong() -> None:
    assert wrong(GOOD) == {}
    assert wrong(replace(GOOD, acked=1, pending=3)) == {}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rows": 11}, {"rows_unexplained": 11 - (6 + 3 + 1)}),
        ({"contributions": 8}, {"interactions_not_contributed": (6 + 3) - 8}),
        ({"totals": 57}, {"contributions_not_in_totals": 50 - 57}),
        ({"pending": 2, "overdue": 2}, {"customers_overdue": 2}),
        ({"dead": 1}, {"dead_letters": 1}),
    ],
)
def test_what_does_not_agree_is_named_with_the_difference(
    change: dict[str, int], named: dict[str, int]
) -> None:
    assert wrong(replace(GOOD, **change)) == named


def test_dead_letters_are_a_warning() -> None:
    assert {check.name for check in checks(GOOD) if check.severity == "warn"} == {"dead_letters"}


def test_an_hour_that_was_applied_balances(ledger: Ledger) -> None:
    hour = replace(counted(ONE, {"1": 2, "2": 3}, {EARLY: 4}), rows=10, quarantined=1)
    apply(ledger, hour)
    apply(ledger, counted(TWO, {"1": 100}))
    found = balance(ledger, ONE, told(hour))
    assert found == Balance(
        rows=10,
        counted=2 + 3,
        anonymous=4,
        quarantined=1,
        contributions=2 + 3 + 4,
        assigned=2 + 3 + 100,
        totals=2 + 3 + 100,
        changed=2,
        acked=0,
        dead=0,
        pending=2,
        overdue=0,
    )
    assert wrong(found) == {}


def test_an_hour_that_was_not_applied_does_not_balance(ledger: Ledger) -> None:
    hour = counted(ONE, {"1": 2}, {EARLY: 4})
    assert wrong(balance(ledger, ONE, told(hour))) == {"interactions_not_contributed": 2 + 4}
    apply(ledger, hour)
    again = counted(ONE, {"1": 3}, {EARLY: 4})
    assert wrong(balance(ledger, ONE, told(again))) == {"interactions_not_contributed": 3 - 2}


def test_a_total_that_somebody_changed_does_not_balance(ledger: Ledger) -> None:
    hour = counted(ONE, {"1": 2})
    apply(ledger, hour)
    update(ledger, CUSTOMER, total=CUSTOMER.c.total + 5)
    assert wrong(balance(ledger, ONE, told(hour))) == {"contributions_not_in_totals": -5}
    update(ledger, CUSTOMER, opening=5)
    assert wrong(balance(ledger, ONE, told(hour))) == {}


def test_what_is_pending_for_two_hours_is_overdue_in_any_later_hour(ledger: Ledger) -> None:
    apply(ledger, counted(ONE, {"1": 1, "2": 1, "3": 1}))
    long_ago = sa.func.now() - sa.text("interval '121 minutes'")
    update(ledger, CHANGE, changed_at=long_ago)
    with ledger.transaction() as database:
        acked = sa.update(CUSTOMER).where(CUSTOMER.c.customer_id == "2")
        database.execute(acked.values(acked_version=1))
        rejected = sa.update(CUSTOMER).where(CUSTOMER.c.customer_id == "3")
        database.execute(rejected.values(dead_version=1))
    later = counted(TWO, {})
    apply(ledger, later)
    assert wrong(balance(ledger, TWO, told(later))) == {"customers_overdue": 1}
    found = balance(ledger, ONE, {"in": 3, "counted": 3, "anonymous": 0, "quarantined": 0})
    assert (found.changed, found.acked, found.dead, found.pending) == (3, 1, 1, 1)


def test_a_later_version_that_is_acked_accounts_for_an_earlier_one(ledger: Ledger) -> None:
    first = counted(ONE, {"1": 1})
    apply(ledger, first)
    apply(ledger, counted(TWO, {"1": 1}))
    update(ledger, CUSTOMER, acked_version=2)
    assert balance(ledger, ONE, told(first)).acked == 1


def test_the_tables_have_what_the_hour_changed_and_sent(ledger: Ledger) -> None:
    apply(ledger, counted(ONE, {"1": 1, "2": 1}))
    apply(ledger, counted(TWO, {"1": 10}))
    update(ledger, CUSTOMER, acked_version=1)
    with ledger.transaction() as database:
        epoch = database.scalar(sa.insert(POSTER).returning(POSTER.c.epoch))
        for id_, version, n in (("1", 1, 1), ("1", 2, 11), ("2", 1, 1)):
            values = {"customer_id": id_, "version": version, "n": n, "epoch": epoch}
            done = {"outcome": "ack", "status": 200, "ended_at": sa.func.now()}
            attempt = sa.insert(ATTEMPT).values(**values, **done, deadline=sa.func.now())
            database.execute(attempt)
    totals = rows_of(ledger, TOTALS, CHANGED_TOTALS, TWO).to_pylist()
    assert totals == [
        {
            "customer_id": "1",
            "total": 1 + 10,
            "opening": 0,
            "version": 2,
            "acked_version": 1,
            "hour": str(TWO),
        }
    ]
    sent = rows_of(ledger, DELIVERIES, SENT, TWO).to_pylist()
    assert [(row["customer_id"], row["version"], row["n"]) for row in sent] == [("1", 2, 11)]
    assert rows_of(ledger, DELIVERIES, SENT, TWO.next).num_rows == 0
