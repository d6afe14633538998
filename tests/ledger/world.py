"""Hours as they might be counted, and what the totals must then be, in plain Python."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count

import sqlalchemy as sa

from millpond.catalog.partitions import Hour
from millpond.interactions.apply import apply, decide
from millpond.interactions.counted import CountedHour
from millpond.interactions.identities import Person, PersonKeys
from millpond.interactions.ledger import Ledger
from millpond.interactions.schema import (
    CHANGE,
    CONTRIBUTION,
    CUSTOMER,
    IDENTITY,
    META,
    OFFSET_RANGE,
    SCHEMA,
    TOPIC,
)

KEYS = PersonKeys(b"secret")
HOURS = [Hour(datetime(2026, 11, 22, n, tzinfo=UTC)) for n in range(1, 6)]
ONE, TWO, THREE, FOUR, FIVE = HOURS
RECEIPTS = count(1)


def person(last_name: str = "Dupont", born: str | None = None) -> Person:
    return KEYS.person(last_name, "Zoé", born)


EARLY, LATE, UNDATED = person(born="1981-02-03"), person(born="1990-12-31"), person()
OTHER = person("Martin", "1981-02-03")
PERSONS = (EARLY, LATE, UNDATED, OTHER)


def empty(ledger: Ledger) -> None:
    """Remove all that is about customers; not by TRUNCATE, which waits for the disk."""
    with ledger.transaction() as database:
        for table in reversed(SCHEMA.sorted_tables):
            if table not in (META, TOPIC, OFFSET_RANGE):
                database.execute(sa.delete(table))


def counted(
    hour: Hour,
    customers: Mapping[str, int] | None = None,
    persons: Mapping[Person, int] | None = None,
) -> CountedHour:
    """An hour as the next receipt says; nothing of it is in quarantine."""
    customers, persons = customers or {}, persons or {}
    rows = sum(customers.values()) + sum(persons.values())
    return CountedHour(hour, next(RECEIPTS), rows, 0, customers, persons)


def answer(ledger: Ledger, of: Person, customer_id: str) -> None:
    """Have the service have said who that is, if it has not said so before."""
    stored = sa.update(IDENTITY).values(answer=customer_id)
    with ledger.transaction() as database:
        database.execute(
            stored.where(IDENTITY.c.identity == of.identity, IDENTITY.c.answer.is_(None))
        )


def totals(ledger: Ledger) -> dict[str, int]:
    """The totals that are not 0, by customer."""
    columns = CUSTOMER.c
    with ledger.transaction() as database:
        rows = database.execute(sa.select(columns.customer_id, columns.total)).all()
    return {row.customer_id: row.total for row in rows if row.total}


def versions(ledger: Ledger) -> dict[str, int]:
    with ledger.transaction() as database:
        rows = database.execute(sa.select(CUSTOMER.c.customer_id, CUSTOMER.c.version)).all()
    return {row.customer_id: row.version for row in rows}


def states(ledger: Ledger) -> dict[str, str]:
    """The states of persons."""
    columns = IDENTITY.c
    with ledger.transaction() as database:
        rows = database.execute(sa.select(columns.identity, columns.state)).all()
    return {row.identity: row.state for row in rows if row.state != "known"}


def changes(ledger: Ledger, hour: Hour) -> dict[str, int]:
    columns = CHANGE.c
    chosen = sa.select(columns.customer_id, columns.version).where(columns.hour == hour.start)
    with ledger.transaction() as database:
        return {row.customer_id: row.version for row in database.execute(chosen)}


def contributions(ledger: Ledger, hour: Hour) -> dict[str, int]:
    columns = CONTRIBUTION.c
    chosen = sa.select(columns.identity, columns.n).where(columns.hour == hour.start)
    with ledger.transaction() as database:
        return {row.identity: row.n for row in database.execute(chosen)}


@dataclass
class Oracle:
    """What is applied, answered and decided; it computes everything anew each time."""

    hours: dict[Hour, CountedHour] = field(default_factory=dict)
    seen: set[Person] = field(default_factory=set)
    answers: dict[Person, str] = field(default_factory=dict)
    heard: dict[Person, str] = field(default_factory=dict)  # answers as of the last apply
    decided: dict[Person, str] = field(default_factory=dict)

    def apply(self, ledger: Ledger, hour: CountedHour) -> None:
        apply(ledger, hour)
        self.applied(hour)

    def applied(self, hour: CountedHour) -> None:
        self.hours[hour.hour] = hour
        self.seen |= set(hour.persons)
        self.heard = dict(self.answers)

    def answer(self, ledger: Ledger, of: Person, customer_id: str) -> None:
        answer(ledger, of, customer_id)
        if of in self.seen:
            self.answers.setdefault(of, customer_id)

    def decide(self, ledger: Ledger, of: Person, customer_id: str) -> None:
        if of in self.seen:
            decide(ledger, of.identity, customer_id)
            self.decided[of] = customer_id

    def customer(self, of: Person) -> str | None:
        """Whose a person's interactions are."""
        namesakes = [p for p in self.seen if p.name_key == of.name_key and p.has_birth]
        if of in self.decided:
            return self.decided[of]
        return None if len(namesakes) > 1 else self.heard.get(of)

    def totals(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for hour in self.hours.values():
            found.update(hour.customers)
            for of, n in hour.persons.items():
                if (customer := self.customer(of)) is not None:
                    found[customer] += n
        return dict(found)
