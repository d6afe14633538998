"""audit: all totals computed anew from the hours' tables, and held against the ledger.

Of the ledger it takes whose an identity is, the opening balances, and what the tables no longer
have of persons that were erased. Everything else must come out of the tables alone.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.interactions.counted import keys_of, read_customers, read_persons, read_receipt
from millpond.interactions.identities import PersonKeys
from millpond.interactions.ledger import Ledger
from millpond.interactions.schema import APPLIED_HOUR, CONTRIBUTION, CUSTOMER, IDENTITY
from millpond.lake.receipts import Receipt


@dataclass(frozen=True)
class Audit:
    """How much was looked at, and the first difference in words; None if all agrees."""

    hours: int
    customers: int
    difference: str | None


def audit(settings: Settings) -> Audit:
    """Compute every applied hour's contributions and every customer's total anew.

    It sees the ledger at one moment; an hour that is counted anew meanwhile is a difference until
    it is applied.
    """
    keys = keys_of(settings)
    columns = APPLIED_HOUR.c
    with Ledger(settings.ledger_url).transaction() as database:
        database.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        customers = _pairs(database, IDENTITY.c.identity, IDENTITY.c.customer_id)
        totals = Counter(_pairs(database, CUSTOMER.c.customer_id, CUSTOMER.c.opening))
        applied = database.execute(
            sa.select(columns.hour, columns.receipt).order_by(columns.hour)
        ).all()
        for hours, row in enumerate(applied, start=1):
            hour = Hour.of(row.hour)
            of_hour = CONTRIBUTION.c.hour == row.hour
            ledger = _pairs(database, CONTRIBUTION.c.identity, CONTRIBUTION.c.n, where=of_hour)
            receipt, tables = _read(settings, hour, keys)
            if difference := compare_hour(hour, row.receipt, receipt, tables, ledger):
                return Audit(hours, 0, difference)
            for identity, n in ledger.items():
                if customer := customers[identity]:
                    totals[customer] += n
        stored = _pairs(database, CUSTOMER.c.customer_id, CUSTOMER.c.total)
    return Audit(len(applied), len(stored), compare_totals(totals, stored))


def compare_hour(
    hour: Hour, applied: int, receipt: Receipt, tables: Mapping[str, int], ledger: Mapping[str, int]
) -> str | None:
    """The first difference between an hour's tables and its contributions, both by identity."""
    if receipt.number != applied:
        return (
            f"{hour} is applied by receipt {applied} of its counts, and the current one is "
            f"{receipt.number}; run apply for that hour"
        )
    told = receipt.rows["counted"] + receipt.rows["anonymous"]
    gone = {i: n for i, n in ledger.items() if i not in tables and i.startswith("person:")}
    if told - sum(tables.values()) == sum(gone.values()):
        tables = {**tables, **gone}  # erased
    for identity in sorted(tables.keys() | ledger.keys()):
        if (n := ledger.get(identity, 0)) != (right := tables.get(identity, 0)):
            return f"{hour}: {identity} contributes {n} in the ledger, and {right} by the tables"
    return None


def compare_totals(right: Mapping[str, int], stored: Mapping[str, int]) -> str | None:
    """The first total that is not what it should be."""
    for customer, total in sorted(stored.items()):
        if total != right[customer]:
            return f"the total of customer {customer} is {total}, and should be {right[customer]}"
    return None


def _read(settings: Settings, hour: Hour, keys: PersonKeys) -> tuple[Receipt, dict[str, int]]:
    receipt = read_receipt(settings, hour)
    by_id = {f"id:{id_}": n for id_, n in read_customers(settings, hour).items()}
    persons = read_persons(settings, hour, keys)
    return receipt, by_id | {person.identity: n for person, n in persons.items()}


def _pairs(
    database: sa.Connection,
    *columns: sa.Column[Any],
    where: sa.ColumnElement[bool] | None = None,
) -> dict[str, Any]:
    chosen = sa.select(*columns)
    rows = database.execute(chosen if where is None else chosen.where(where))
    return {row[0]: row[1] for row in rows}
