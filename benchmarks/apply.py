"""Applying an hour to the ledger: how long it takes when it changes very many customers.

    MILLPOND_HOME=... python -m benchmarks.apply [CUSTOMERS]

On a platform that runs, it makes a ledger of its own beside the platform's, and applies hours that
each change CUSTOMERS customers, of whom every tenth is a person: one hour in which all are new, one
in which none is, that one again, and again with other counts. It prints seconds, and the load.
"""

import os
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.cluster import postgres
from millpond.interactions.apply import apply
from millpond.interactions.counted import CountedHour
from millpond.interactions.identities import PersonKeys
from millpond.interactions.ledger import Ledger

KEYS = PersonKeys(b"benchmark")


def hour_of(customers: int, hour: Hour, receipt: int, each: int) -> CountedHour:
    """An hour in which every customer has `each` interactions, a tenth of them without an id."""
    persons = {KEYS.person(f"name {n}", "Zoé", None): each for n in range(customers // 10)}
    by_id = {str(n): each for n in range(customers - len(persons))}
    return CountedHour(hour, receipt, customers * each, 0, by_id, persons)


def timed(what: str, act: Callable[[], int]) -> None:
    """Say how long it took, and how many customers it changed."""
    began = time.monotonic()
    changed = act()
    print(f"{what}: {time.monotonic() - began:.1f} s, {changed} customers changed")


def answer_all(ledger: Ledger) -> None:
    """Have the service have said who each person is: a customer that has an id, too."""
    with ledger.transaction() as database:
        database.execute(sa.text("CREATE SEQUENCE answers MINVALUE 0"))
        answers = "UPDATE identity SET answer = nextval('answers') WHERE state = 'open'"
        database.execute(sa.text(answers))


def main(customers: int) -> None:
    """Measure, and print."""
    here = Settings.from_env(os.environ)
    name = f"bench_{uuid.uuid4().hex[:8]}"
    postgres.query(here, f"CREATE DATABASE {name} OWNER ledger")
    try:
        measure(Ledger(here.ledger_url.replace("/ledger?", f"/{name}?")), customers)
    finally:
        postgres.query(here, f"DROP DATABASE {name}")
    print(f"the load of the machine was {os.getloadavg()[0]:.1f}")


def measure(ledger: Ledger, customers: int) -> None:
    """Apply the hours to a new ledger."""
    ledger.create()
    first = Hour.of(datetime.now(UTC) - timedelta(hours=2))
    hour = hour_of(customers, first, 1, each=1)
    timed("all are new", lambda: apply(ledger, hour))
    answer_all(ledger)
    later = hour_of(customers, first.next, 1, each=1)
    timed("all are known, and the persons answered", lambda: apply(ledger, later))
    timed("the same again", lambda: apply(ledger, replace(later, receipt=2)))
    other = hour_of(customers, first.next, 3, each=2)
    timed("again with other counts", lambda: apply(ledger, other))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
