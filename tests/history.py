"""A history of what happened, held against what must hold whatever failed.

The history is what the producer sent, what the ledger has, and what the service saw: its log, a
JSON object for each request, in the order in which it took them. The checks, in this order:

3. The ranges of a partition follow one another without a gap, and none is other than it was.
1. An hour contributes exactly what was sent in it, each message once.
2. The last count that the service took of each customer is the customer's total, which is what was
   sent of the customer's identities and the opening balance.
6. Every request has an attempt that planned it, and every confirmed attempt a request that was
   taken.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from millpond.catalog.interactions import Contract
from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.interactions.counted import keys_of
from millpond.interactions.identities import PersonKeys, customer_id
from millpond.interactions.ledger import Ledger
from millpond.interactions.schema import (
    APPLIED_HOUR,
    ATTEMPT,
    CONTRIBUTION,
    CUSTOMER,
    IDENTITY,
    OFFSET_RANGE,
)

# Partition, hour, start and end.
Range = tuple[int, Hour, int, int]
# A customer's id as JSON, and the count.
Sent = tuple[str, int]


@dataclass(frozen=True)
class Violation:
    """The first thing that does not hold: the invariant's number, and what is wrong in words."""

    invariant: int
    what: str


@dataclass(frozen=True)
class History:
    """All that is looked at.

    `truth` has what each hour should contribute, by identity; `quarantined` its bad messages, and
    so `found_quarantined` as they were counted. `earlier_ranges` is what was sealed at any time
    before. `taken` and `requested` are the requests with a count that the service took, and all, in
    its order; `confirmed` and `planned` the attempts that are acknowledged, and all that may have
    been sent.
    """

    truth: Mapping[Hour, Mapping[str, int]]
    contributions: Mapping[Hour, Mapping[str, int]]
    quarantined: Mapping[Hour, int]
    found_quarantined: Mapping[Hour, int]
    ranges: Sequence[Range]
    earlier_ranges: Sequence[Range]
    customers: Mapping[str, str]
    openings: Mapping[str, int]
    requested: Sequence[Sent]
    taken: Sequence[Sent]
    planned: Sequence[Sent]
    confirmed: Sequence[Sent]


def first_violation(of: History) -> Violation | None:
    """The first violation; None if all holds."""
    checks = (_ranges, _contributions, _totals, _attempts)
    return next((violation for check in checks for violation in check(of)), None)


def _ranges(of: History) -> Iterator[Violation]:
    ends: dict[int, tuple[Hour, int]] = {}
    for partition, hour, start, end in sorted(of.ranges, key=lambda r: (r[0], r[1])):
        before = ends.get(partition)
        if end < start or (before and before != (_previous(hour), start)):
            after = f"after {before[0]} up to {before[1]}" if before else "first"
            yield Violation(3, f"partition {partition}: {hour} is {start} to {end}, {after}")
        ends[partition] = (hour, end)
    for changed in sorted(set(of.earlier_ranges) - set(of.ranges)):
        partition, hour, start, end = changed
        yield Violation(3, f"partition {partition}: {hour} was {start} to {end}, and is not now")


def _previous(hour: Hour) -> Hour:
    return Hour.of(hour.start - (hour.end - hour.start))


def _contributions(of: History) -> Iterator[Violation]:
    for hour in sorted(of.truth.keys() | of.contributions.keys()):
        true, found = of.truth.get(hour, {}), of.contributions.get(hour, {})
        for identity in sorted(true.keys() | found.keys()):
            if (n := found.get(identity, 0)) != (sent := true.get(identity, 0)):
                yield Violation(1, f"{hour}: {sent} of {identity} were sent, and {n} contribute")
        sent, n = of.quarantined.get(hour, 0), of.found_quarantined.get(hour, 0)
        if sent != n:
            yield Violation(1, f"{hour}: {sent} bad messages were sent, and {n} are in quarantine")


def _totals(of: History) -> Iterator[Violation]:
    last = dict(of.taken)  # of several the last one stays
    right = Counter(of.openings)
    has_changed: set[str] = set()
    for contributions in of.truth.values():
        for identity, n in contributions.items():
            if customer := of.customers.get(identity):
                right[customer] += n
                has_changed.add(customer)
    for customer in sorted(has_changed | last.keys()):
        if last.get(customer) != right[customer]:
            yield Violation(
                2,
                f"the service has {last.get(customer)} of customer {customer}, and should have "
                f"{right[customer]}",
            )


def _attempts(of: History) -> Iterator[Violation]:
    for (customer, n), times in sorted((Counter(of.requested) - Counter(of.planned)).items()):
        yield Violation(
            6, f"the service saw {n} of customer {customer} {times} times more than was planned"
        )
    for (customer, n), times in sorted((Counter(of.confirmed) - Counter(of.taken)).items()):
        yield Violation(
            6, f"{n} of customer {customer} is confirmed {times} times more than it was taken"
        )


def read_history(
    settings: Settings,
    truth: Mapping[str, Any],
    requests: Sequence[Mapping[str, Any]],
    earlier_ranges: Sequence[Range] = (),
) -> History:
    """The history of a ledger; `truth` as `produce` writes it, `requests` as the service's log."""
    contract = Contract.parse(settings.service_paths, settings.service_keys)
    keys = keys_of(settings)
    hours = {Hour.parse(text): told for text, told in truth["hours"].items()}
    counts = [r for r in requests if r["path"] == contract.post_path and r["body"]]
    with Ledger(settings.ledger_url).transaction() as database:
        attempts = database.execute(sa.select(ATTEMPT)).all()
        customers = database.execute(sa.select(CUSTOMER)).all()
        identities = database.execute(sa.select(IDENTITY)).all()
        quarantined = database.execute(sa.select(APPLIED_HOUR)).all()
        ranges = read_ranges(database, settings.interactions_topic)
        contributions = _read_contributions(database)
    return History(
        truth={hour: _true_contributions(told, keys) for hour, told in hours.items()},
        contributions=contributions,
        quarantined={hour: told["quarantined"] for hour, told in hours.items()},
        found_quarantined={Hour.of(row.hour): row.quarantined for row in quarantined},
        ranges=ranges,
        earlier_ranges=earlier_ranges,
        customers={row.identity: row.customer_id for row in identities if row.customer_id},
        openings={row.customer_id: row.opening for row in customers},
        requested=[_sent(request, contract) for request in counts],
        taken=[_sent(request, contract) for request in counts if request["applied"]],
        planned=[(row.customer_id, row.n) for row in attempts if row.outcome != "unsent"],
        confirmed=[(row.customer_id, row.n) for row in attempts if row.outcome == "ack"],
    )


def read_ranges(database: sa.Connection, topic: str) -> list[Range]:
    """What is sealed of a topic."""
    rows = database.execute(sa.select(OFFSET_RANGE).where(OFFSET_RANGE.c.topic == topic))
    return [(row.partition, Hour.of(row.hour), row.start, row.end) for row in rows]


def _true_contributions(told: Mapping[str, Any], keys: PersonKeys) -> Mapping[str, int]:
    found = Counter({f"id:{customer_id(id_)}": n for id_, n in told["counts"].items()})
    for last_name, first_name, born, _, n in told["anonymous"]:
        found[keys.person(last_name, first_name, born).identity] += n
    return found


def _read_contributions(database: sa.Connection) -> dict[Hour, dict[str, int]]:
    found: dict[Hour, dict[str, int]] = {}
    for row in database.execute(sa.select(CONTRIBUTION)):
        found.setdefault(Hour.of(row.hour), {})[row.identity] = row.n
    return found


def _sent(request: Mapping[str, Any], contract: Contract) -> Sent:
    body = json.loads(request["body"])
    return customer_id(json.dumps(body[contract.id])), body[contract.count]
