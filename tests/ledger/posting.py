"""What must hold of posting, whatever fails, and how a test posts."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from millpond.errors import SupersededError
from millpond.interactions.breaker import Breaker
from millpond.interactions.ledger import Ledger
from millpond.interactions.post import Pace, Poster
from millpond.interactions.schema import ATTEMPT, CUSTOMER
from millpond.interactions.service import CustomerService, Endpoint
from millpond.reference_service.customers import json_text
from tests.ledger.reference import CONTRACT, Reference

# Quick, so that a test of retries and deadlines ends; an answer has 1 s.
PACE = Pace(threads=8, deadline=6, answer=2, tries=8, first_wait=0.05, longest_wait=0.2)
TIMEOUT = (1.0, 1.0)
# All is well, on a machine that may be slow.
PATIENT = Pace(threads=8, deadline=30, answer=15)


@dataclass
class Posting:
    """A ledger and a service, and posters between them."""

    ledger: Ledger
    url: str
    reference: Reference
    service: CustomerService = field(init=False)
    processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def __post_init__(self) -> None:
        self.service = self.reference.service(TIMEOUT)

    def total(self, customers: Iterable[str] | Mapping[str, int], total: int = 1) -> None:
        """An apply: totals change, and so do versions; doubtful ones are sent once more."""
        totals = customers if isinstance(customers, Mapping) else dict.fromkeys(customers, total)
        insert = sa.dialects.postgresql.insert(CUSTOMER)
        changed = insert.on_conflict_do_update(
            index_elements=["customer_id"],
            set_={
                "total": insert.excluded.total,
                "version": CUSTOMER.c.version + 1,
                "is_doubtful": False,
            },
        )
        rows = [{"customer_id": id_, "total": n, "version": 1} for id_, n in totals.items()]
        with self.ledger.transaction() as database:
            database.execute(changed, rows)

    def next_hour(self) -> int:
        """An hour in which nothing happens: doubtful customers get a new version; how many."""
        renew = sa.update(CUSTOMER).where(CUSTOMER.c.is_doubtful)
        with self.ledger.transaction() as database:
            values = {"version": CUSTOMER.c.version + 1, "is_doubtful": False}
            return database.execute(renew.values(values)).rowcount

    def poster(self, seconds: float = 30, pace: Pace = PACE) -> Poster:
        poster = Poster(self.ledger, self.service, seconds, pace)
        poster._breaker = Breaker(first_rest=0.05)
        return poster

    def post(self, seconds: float = 30, pace: Pace = PACE) -> Counter[str]:
        return self.poster(seconds, pace).run()

    def drain(self) -> None:
        """All is well again, and hours pass until nothing is left to be said."""
        self.reference.faults()
        self.service = self.reference.service((3.0, 10.0))
        self.post(pace=PATIENT)
        while self.next_hour():
            self.post(pace=PATIENT)

    def process(self, crash_at: str = "", **pace: float) -> "subprocess.Popen[bytes]":
        """A poster as a task has it, in a process that may be killed or stopped."""
        settings = json.dumps({**vars(PACE), **pace})
        command = [sys.executable, "-m", "tests.ledger.posting", self.url, self.reference.url]
        environ = {**os.environ, "MILLPOND_CRASH_AT": crash_at}
        self.processes.append(subprocess.Popen([*command, settings], env=environ))
        return self.processes[-1]

    def customers(self) -> dict[str, Any]:
        with self.ledger.transaction() as database:
            rows = database.execute(sa.select(CUSTOMER)).all()
        return {row.customer_id: row for row in rows}

    def attempts(self) -> list[Any]:
        with self.ledger.transaction() as database:
            return list(database.execute(sa.select(ATTEMPT).order_by(ATTEMPT.c.attempt_id)))

    def outcomes(self) -> Counter[str]:
        return Counter(attempt.outcome for attempt in self.attempts())

    def check(self) -> None:
        """What the service holds is the total, and it saw no request without an attempt."""
        totals = {id_: row.total for id_, row in self.customers().items()}
        assert self.reference.counts == totals
        assert all(row.acked_version == row.version for row in self.customers().values())
        self.check_attempts()

    def check_attempts(self) -> None:
        """Every request has an attempt that says it was sent; every ACK has a request."""
        sent = Counter(
            (attempt.customer_id, attempt.n) for attempt in self.attempts() if attempt.sent_at
        )
        seen = Counter(
            (json_text(body["customerId"]), body["intercationNumber"])
            for request in self.reference.requests
            if request["body"] and (body := json.loads(request["body"]))
        )
        acked = Counter(
            (attempt.customer_id, attempt.n)
            for attempt in self.attempts()
            if attempt.outcome == "ack"
        )
        assert seen <= sent
        assert acked <= seen


def main(url: str, endpoint: str, pace: str) -> None:
    """Post in this process."""
    service = CustomerService(lambda: Endpoint(endpoint), CONTRACT, TIMEOUT)
    try:
        Poster(Ledger(url), service, 30, Pace(**json.loads(pace))).run()
    except SupersededError as error:
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
