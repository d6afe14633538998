"""post: tell the customer service each total that it has not confirmed.

A total is absolute, so it may be sent twice; what may not happen is that an older one arrives
after a newer one. So a customer has one request at a time, and no request is sent after its
deadline, for which every other poster waits.
"""

import hashlib
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from millpond.catalog.partitions import Hour
from millpond.crash import crash_point
from millpond.errors import BadInputError, MillpondError, SupersededError
from millpond.interactions import attempts
from millpond.interactions.attempts import Attempt, Ended
from millpond.interactions.breaker import Breaker
from millpond.interactions.fence import clock
from millpond.interactions.ledger import Ledger
from millpond.interactions.service import Answer, CustomerService, Outcome

log = logging.getLogger(__name__)

BATCH = 200
# Outcomes are written, and claims made, ten times a second: a transaction costs some milliseconds.
TURN_SECONDS = 0.1
# Between two statements of a transaction there are milliseconds, unless something stands still.
IDLE = "idle_in_transaction_session_timeout"
IDLE_SECONDS = 10
# So many answers that refuse alike, before any that does not, are no matter of single customers.
ALIKE = 20
# A run ends so long before the full hour, when the next one has something to post; one that begins
# later than that is late already, and has as long for itself.
BEFORE_THE_HOUR = timedelta(minutes=5)


def seconds_to_post() -> float:
    """How long a run that begins now may take."""
    now = datetime.now(UTC)
    left = Hour.of(now).end - BEFORE_THE_HOUR - now
    return max(left, BEFORE_THE_HOUR).total_seconds()


@dataclass(frozen=True)
class Pace:
    """How much at once, and how patiently.

    `deadline`: seconds from a claim to the moment after which its request can do nothing more.
    `answer`: seconds that a request takes at most; it is not begun later than that before the
    deadline. A version is tried up to `tries` times in a run, after waits of up to `first_wait`,
    twice that, and so on, but not over `longest_wait`, seconds.
    """

    threads: int = 32
    deadline: float = 60.0
    answer: float = 20.0
    tries: int = 8
    first_wait: float = 1.0
    longest_wait: float = 300.0


class Poster:
    """One run: until every total that is due is confirmed or given up, or for `seconds`."""

    def __init__(
        self, ledger: Ledger, service: CustomerService, seconds: float, pace: Pace | None = None
    ) -> None:
        self._ledger, self._service = ledger, service
        self._pace = pace or Pace()
        self._until = clock() + seconds
        self._breaker = Breaker()
        self._first = _FirstAnswers()
        self._over = threading.Event()
        self._error: MillpondError | None = None
        self._claimed: list[Attempt] = []
        self._flying: set[Future[Ended]] = set()
        self._tally: Counter[tuple[Outcome, str]] = Counter()

    def run(self) -> Counter[str]:
        """Post, and return how many requests had which outcome, and how many are `pending`.

        Raises:
            BadInputError: The service would refuse whatever is sent.
            SupersededError: Another poster has begun.
            MillpondError: The ledger does not answer.
        """
        self._take_over()
        with ThreadPoolExecutor(self._pace.threads, "post") as pool:
            try:
                while self._turn(pool):
                    pass
            finally:
                self._over.set()
        summary = self._summary()
        if self._error:
            raise self._error
        return summary

    def _take_over(self) -> None:
        """Be the only poster, once nothing of an earlier one can arrive any more."""
        with self._transaction() as database:
            self._ledger_id = attempts.ledger_id(database)
            self._epoch = attempts.next_epoch(database)
            left = attempts.seconds_open(database, self._epoch)
        while left:
            log.warning("waiting %.1f s for the deadlines of an earlier poster's requests", left)
            time.sleep(left)
            with self._transaction() as database:
                left = attempts.seconds_open(database, self._epoch)
        with self._transaction() as database:
            closed = Counter(attempts.close_earlier(database, self._epoch))
        for outcome, count in closed.items():
            log.warning("%d requests of an earlier poster were left %s", count, outcome)

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        """A transaction that the database ends if this process is stopped in the middle of it.

        Its locks would keep everybody else from claiming and applying for as long.
        """
        with self._ledger.transaction() as database:
            database.execute(sa.text(f"SET LOCAL {IDLE} = '{IDLE_SECONDS}s'"))
            yield database

    def _turn(self, pool: ThreadPoolExecutor) -> bool:
        """Write down what has ended, send what was claimed, claim more; False at the end."""
        ended = self._collect()
        released = self._exchange(ended)
        if ended:
            crash_point("recorded")
        if self._claimed:
            crash_point("claimed")
        self._flying |= {pool.submit(self._send, attempt) for attempt in released}
        if self._flying or self._claimed:
            return True
        if rest := self._first.rest():
            self._exchange(rest)
        return self._has_patience()

    def _exchange(self, ended: list[Ended]) -> list[Attempt]:
        """One transaction: close `ended`, release what was claimed before, claim what is next."""
        released, self._claimed = self._claimed, []
        send_until = clock() + self._pace.deadline - self._pace.answer
        with self._transaction() as database:
            attempts.record(database, ended)
            if not attempts.is_newest(database, self._epoch):
                self._stop(SupersededError("another poster has begun; this one sends nothing more"))
                return []
            attempts.mark_sent(database, released)
            if room := self._room(len(released)):
                self._claimed = attempts.claim(
                    database, self._epoch, room, self._pace.deadline, send_until
                )
        self._say(ended)
        return released

    def _room(self, released: int) -> int:
        """How many to claim: a few, so that none waits for its turn until its deadline."""
        if clock() > self._until:
            self._over.set()
        flying = len(self._flying) + released
        if self._over.is_set() or flying > BATCH or self._breaker.rest:
            return 0
        if self._breaker.is_trying:
            return 0 if flying else 1
        return BATCH

    def _send(self, attempt: Attempt) -> Ended:
        if self._over.is_set() or self._breaker.rest:
            return Ended(attempt, Answer(Outcome.UNSENT, why="it was not begun"))
        crash_point("before-send")
        answer = self._service.post_count(
            attempt.customer_id, attempt.n, self._key(attempt), attempt.send_until
        )
        crash_point("after-send")
        self._heed(answer)
        return Ended(attempt, answer, self._wait(attempt, answer))

    def _key(self, attempt: Attempt) -> str:
        text = f"{self._ledger_id} {attempt.customer_id} {attempt.version}"
        return hashlib.sha256(text.encode()).hexdigest()

    def _heed(self, answer: Answer) -> None:
        if answer.wait:
            self._breaker.pause(answer.wait)
        if answer.outcome in (Outcome.ACK, Outcome.REJECT):
            self._breaker.succeeded()
        elif answer.outcome in (Outcome.RETRY, Outcome.AMBIGUOUS) and answer.status != 401:
            self._breaker.failed(answer.why)
        elif answer.outcome == Outcome.STOP:
            self._stop(BadInputError(f"the customer service is not posted to: {answer.why}"))

    def _wait(self, attempt: Attempt, answer: Answer) -> float:
        """Seconds for which the customer is left alone."""
        if answer.outcome not in (Outcome.RETRY, Outcome.AMBIGUOUS):
            return 0.0
        if attempt.tries + 1 >= self._pace.tries:
            return max(answer.wait, self._until - clock())
        longest = min(self._pace.longest_wait, self._pace.first_wait * 2**attempt.tries)
        return max(answer.wait, random.uniform(0, longest))  # noqa: S311  no secret

    def _collect(self) -> list[Ended]:
        done, self._flying = wait(self._flying, TURN_SECONDS)
        in_order = sorted((each.result() for each in done), key=lambda ended: ended.attempt.id)
        ended = self._first.settle(in_order)
        if self._first.refused:
            self._stop(BadInputError(_CONTRACT.format(n=ALIKE, why=self._first.refused)))
        return ended

    def _say(self, ended: Iterable[Ended]) -> None:
        """Each kind of trouble once; the summary says how often."""
        for each in ended:
            kind = each.answer.outcome, each.answer.why
            self._tally[kind] += 1
            if each.answer.why and self._tally[kind] == 1:
                log.warning("%s: %s", *kind)

    def _has_patience(self) -> bool:
        """Wait until a customer is due, if that is before the end of the run."""
        with self._transaction() as database:
            due = attempts.seconds_until_due(database)
        if due is None or self._over.is_set():
            return False
        rest = max(due, self._breaker.rest, TURN_SECONDS)
        if clock() + rest > self._until:
            return False
        time.sleep(rest)
        return True

    def _stop(self, error: MillpondError) -> None:
        self._error = self._error or error
        self._over.set()

    def _summary(self) -> Counter[str]:
        summary: Counter[str] = Counter()
        for (outcome, why), count in self._tally.items():
            log.info("%d requests: %s%s", count, outcome, f", {why}" if why else "")
            summary[outcome.value] += count
        with self._transaction() as database:
            summary["pending"] = attempts.pending(database)
        if summary["pending"]:
            log.warning("%d totals are still pending; the next run posts them", summary["pending"])
        return summary


_CONTRACT = (
    "contract: the first {n} answers of the customer service refuse what is sent, all alike: "
    "{why}; nobody is a dead letter for that. Compare MILLPOND_SERVICE_PATHS and "
    "MILLPOND_SERVICE_KEYS with what the service expects"
)


class _FirstAnswers:
    """Holds rejections back as long as a run has had nothing else.

    Then they become dead letters, each its customer's; but if ALIKE of them came alike, it is the
    contract that is refused, and `refused` says how.
    """

    def __init__(self) -> None:
        self.refused = ""
        self._held: list[Ended] | None = []

    def settle(self, ended: Iterable[Ended]) -> list[Ended]:
        """What can be written down now."""
        return [settled for each in ended for settled in self._settle(each)]

    def rest(self) -> list[Ended]:
        """What is still held back, at the end."""
        held, self._held = self._held or [], None
        return held

    def _settle(self, each: Ended) -> list[Ended]:
        outcome = each.answer.outcome
        if self.refused and outcome == Outcome.REJECT:
            return [_stopped(each)]
        if self._held is None or outcome not in (Outcome.ACK, Outcome.REJECT):
            return [each]
        self._held.append(each)
        if outcome == Outcome.ACK or each.answer.status != self._held[0].answer.status:
            return self.rest()
        if len(self._held) < ALIKE:
            return []
        self.refused = each.answer.why
        return [_stopped(e) for e in self.rest()]


def _stopped(ended: Ended) -> Ended:
    return replace(ended, answer=replace(ended.answer, outcome=Outcome.STOP))
