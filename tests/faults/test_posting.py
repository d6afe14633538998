"""Faults between the ledger and the customer service: in the end the service holds the totals.

Of the platform they need PostgreSQL alone.
"""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from millpond.errors import BadInputError, MillpondError
from millpond.interactions import attempts
from millpond.interactions.schema import POSTER
from millpond.interactions.service import CustomerService, Endpoint
from tests.ledger.posting import PACE, TIMEOUT, Posting
from tests.ledger.reference import CONTRACT
from tests.ledger.servers import RawServer, certificate_of, tls
from tests.waiting import HANGS_SECONDS, until

FAILED = {"answer": "status", "status": 500, "applied": False}
# Slower than the answer that asks for patience, so that one request of each thread is before it.
SLOW = {"seconds": 0.5, "times": 0}


@pytest.mark.case(10)
def test_a_second_poster_waits_for_the_deadlines_of_the_first(posting: Posting) -> None:
    posting.total(map(str, range(700)))  # more than the first can have claimed
    posting.reference.faults({"seconds": 0.3, "times": 0})
    first = posting.process()
    until(lambda: posting.reference.requests)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(posting.post)
        until(lambda: posters(posting) == 2)
        posting.reference.faults()
        assert first.wait(HANGS_SECONDS) == 12
        second.result()
    [one, other] = sorted({attempt.epoch for attempt in posting.attempts()})
    deadline = max(a.deadline for a in posting.attempts() if a.epoch == one and a.outcome != "ack")
    assert min(a.sent_at for a in posting.attempts() if a.epoch == other and a.sent_at) > deadline
    posting.drain()
    posting.check()


def posters(posting: Posting) -> int:
    """How many have begun."""
    with posting.ledger.transaction() as database:
        return database.scalar(sa.select(sa.func.count()).select_from(POSTER)) or 0


@pytest.mark.case(10)
def test_a_poster_that_was_stopped_past_its_deadline_sends_nothing_more(posting: Posting) -> None:
    posting.total(map(str, range(700)))  # more than it can have sent by then
    posting.reference.faults({"seconds": 0.3, "times": 0})
    old = posting.process()
    until(lambda: len(posting.reference.requests) > PACE.threads)
    old.send_signal(signal.SIGSTOP)
    posting.reference.faults()
    new = posting.post()
    posting.total(map(str, range(700)), 2)
    posting.post()
    before = len(posting.reference.requests)
    old.send_signal(signal.SIGCONT)
    assert old.wait(HANGS_SECONDS) in (1, 12)  # its transaction was ended, or it is superseded
    assert len(posting.reference.requests) == before
    assert new["ack"] > 0
    posting.drain()
    posting.check()


ACKS = {
    "unsent": {"unsent": 1, "ack": 1},
    "ambiguous": {"ambiguous": 1, "ack": 2},  # once more in the next hour
    "ack": {"ack": 1},
}


@pytest.mark.case(10)
def test_a_poster_that_was_stopped_in_a_transaction_holds_nobody_up(posting: Posting) -> None:
    def stand_still() -> None:
        with posting.poster()._transaction() as its:
            attempts.is_newest(its, 0)  # with a lock that keeps every other poster from beginning
            assert posting.post()["ack"] == 1
            its.execute(sa.text("SELECT 1"))

    posting.total(["1"])
    with pytest.raises(MillpondError, match="does not answer"):
        stand_still()
    posting.check()


@pytest.mark.case(11)
@pytest.mark.parametrize(
    ("point", "left", "seen"),
    [
        ("claimed", "unsent", 0),
        ("before-send", "ambiguous", 0),
        ("after-send", "ambiguous", 1),
        ("recorded", "ack", 1),
    ],
)
def test_a_killed_poster_is_followed_by_one_that_knows_what_it_left(
    posting: Posting, point: str, left: str, seen: int
) -> None:
    posting.total({"1": 7})
    assert posting.process(crash_at=point).wait(HANGS_SECONDS) == -signal.SIGKILL
    assert len(posting.reference.requests) == seen
    posting.post()
    assert posting.attempts()[0].outcome == left
    # It was closed only when nothing of it could arrive any more.
    assert posting.attempts()[0].ended_at >= posting.attempts()[0].deadline or left == "ack"
    posting.drain()
    posting.check()
    assert posting.outcomes() == ACKS[left]


@pytest.mark.case(21)
@pytest.mark.parametrize(
    ("fault", "outcome", "is_doubtful"),
    [
        (FAILED, "retry", False),
        ({"answer": "status", "status": 500}, "retry", False),  # a lie
        ({"answer": "status", "status": 429, "applied": False}, "retry", False),
        ({"answer": "html", "status": 502, "applied": False}, "retry", False),
        ({"answer": "html"}, "ambiguous", True),
        ({"answer": "half"}, "ambiguous", True),
        ({"answer": "reset", "applied": False}, "ambiguous", True),
        ({"answer": "reset"}, "ambiguous", True),
        ({"seconds": 1.5}, "ambiguous", True),
    ],
)
def test_what_was_not_confirmed_is_sent_again(
    posting: Posting, fault: dict[str, Any], outcome: str, *, is_doubtful: bool
) -> None:
    posting.total({"1": 7})
    posting.reference.faults(fault)
    assert posting.post() == {outcome: 1, "ack": 1, "pending": 0}
    assert posting.customers()["1"].is_doubtful is is_doubtful
    posting.check()
    posting.drain()
    # What was ever doubtful is sent once more in the next hour.
    assert posting.outcomes()["ack"] == 1 + is_doubtful
    posting.check()


@pytest.mark.case(21)
def test_a_request_that_is_applied_late_is_mended_in_the_next_hour(posting: Posting) -> None:
    posting.total({"1": 7})
    with posting.reference.held_back() as wait:
        poster = posting.process()
        wait()
        posting.total({"1": 8})
        assert poster.wait(HANGS_SECONDS) == 0  # it waits for an answer for 1 s
        assert posting.reference.counts == {"1": 8}
    until(lambda: posting.reference.counts == {"1": 7})  # after the newer one
    posting.drain()
    posting.check()


@pytest.mark.case(21)
def test_nothing_is_sent_earlier_than_asked(posting: Posting) -> None:
    posting.total(map(str, range(40)))
    posting.reference.faults({**FAILED, "status": 429, "retry_after": "2"}, SLOW)
    posting.post()
    check_patience(posting, 2)


@pytest.mark.case(21)
def test_nothing_is_sent_before_the_date_that_was_asked_for(posting: Posting) -> None:
    posting.total(map(str, range(40)))
    then = datetime.now(UTC) + timedelta(seconds=4)
    date = format_datetime(then, usegmt=True)
    posting.reference.faults({**FAILED, "status": 503, "retry_after": date}, SLOW)
    posting.post()
    late = [r for r in posting.reference.requests if r["at"] > int(then.timestamp())]
    early = [r for r in posting.reference.requests if r["at"] <= int(then.timestamp())]
    assert late
    assert len(early) <= PACE.threads  # those that were on their way
    posting.check()


def check_patience(posting: Posting, seconds: float) -> None:
    asked = next(r for r in posting.reference.requests if r["status"] == 429)["at"]
    after = [r["at"] - asked for r in posting.reference.requests if r["at"] > asked]
    assert len([wait for wait in after if wait < seconds]) < PACE.threads
    assert max(after) >= seconds
    posting.check()


@pytest.mark.case(21)
def test_a_service_that_fails_again_and_again_is_left_alone(posting: Posting) -> None:
    posting.total(map(str, range(200)))
    posting.reference.faults({**FAILED, "times": 0})
    began = time.monotonic()
    poster = posting.poster(seconds=3)
    summary = poster.run()
    assert time.monotonic() - began < 3 + PACE.answer
    # Ten failures, what was on its way with them, and one probe after each rest of
    # 0.05, 0.1, ... 1.6 s.
    assert 10 < len(posting.reference.requests) <= 10 + PACE.threads + 6
    assert summary["pending"] == 200
    posting.drain()
    posting.check()


@pytest.mark.case(21)
def test_a_storm_of_all_of_them_ends_with_the_totals(posting: Posting) -> None:
    totals = {str(n): n + 1 for n in range(150)}
    posting.total(totals)
    every: list[dict[str, Any]] = [
        {**FAILED, "times": 25},
        {**FAILED, "status": 429, "retry_after": "1"},
        {"seconds": 1.5, "times": 4},
        {"answer": "reset", "applied": False, "times": 5},
        {"answer": "reset", "times": 5},
        {"answer": "half", "times": 5},
        {"answer": "html", "times": 5},
        {"answer": "status", "status": 503, "times": 12},
    ]
    posting.reference.faults(*every)
    until(lambda: posting.post(seconds=20)["pending"] == 0)
    posting.check()
    posting.drain()
    posting.check()


@pytest.mark.case(24)
def test_an_expired_token_is_renewed_once_and_then_the_run_stops(posting: Posting) -> None:
    tokens = iter(["old", "new", "never asked for"])
    reads = []

    def read() -> Endpoint:
        reads.append(token := next(tokens))
        return Endpoint(posting.reference.url, "", token)

    posting.service = CustomerService(read, CONTRACT)
    posting.total(map(str, range(100)))
    posting.reference.ask_for("Bearer new")
    summary = posting.post()
    assert summary["ack"] == 100
    posting.check()
    # From now on nothing is good enough.
    posting.reference.ask_for("Bearer newest")
    posting.total(map(str, range(100)), 2)
    with pytest.raises(BadInputError, match="it answered 401, also after"):
        posting.post()
    assert reads == ["old", "new", "never asked for"]
    assert {row.dead_version for row in posting.customers().values()} == {None}


@pytest.mark.case(24)
def test_a_certificate_that_nobody_vouches_for_stops_the_run(
    posting: Posting, tmp_path: Path
) -> None:
    server = RawServer(b"", tls(certificate_of("IP:127.0.0.1", tmp_path)))
    url = f"https://127.0.0.1:{server.port}"
    posting.service = CustomerService(lambda: Endpoint(url), CONTRACT)
    posting.total(map(str, range(50)))
    with pytest.raises(BadInputError, match="its certificate is not trusted"):
        posting.post()
    assert set(posting.outcomes()) <= {"stop", "unsent"}
    server.close()
    assert server.asked == []


@pytest.mark.case(24)
def test_a_secret_is_in_no_log_line(posting: Posting, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    posting.service = posting.reference.service(TIMEOUT, user="me", password="pl4nted")
    posting.reference.ask_for("Bearer other")
    posting.total(["1"])
    with pytest.raises(BadInputError) as raised:
        posting.post()
    assert caplog.messages
    assert "pl4nted" not in f"{caplog.text} {raised.value!r}"
