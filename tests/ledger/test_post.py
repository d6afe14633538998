"""Posting from a real ledger to the reference service: what is sent, when, what is known then."""

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import format_datetime
from hashlib import sha256
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from millpond.errors import BadInputError
from millpond.interactions import attempts
from millpond.interactions.ledger import Ledger
from millpond.interactions.post import ALIKE, Pace, seconds_to_post
from millpond.interactions.schema import META
from millpond.interactions.service import CustomerService, Endpoint
from tests.ledger.posting import PACE, Posting
from tests.ledger.reference import CONTRACT, Reference, wait_until

REFUSED = {"answer": "status", "status": 422, "applied": False}
FAILED = {"answer": "status", "status": 500, "applied": False}


@pytest.fixture
def posting(ledger: Ledger, ledger_url: str, reference: Reference) -> Posting:
    return Posting(ledger, ledger_url, reference)


def test_every_total_is_posted_once(posting: Posting) -> None:
    posting.total({str(n): n + 1 for n in range(250)})
    assert posting.post() == {"ack": 250, "pending": 0}
    assert len(posting.reference.requests) == 250
    posting.check()
    assert posting.post() == {"pending": 0}


def test_a_total_that_changes_is_posted_again_under_another_key(posting: Posting) -> None:
    posting.total({'"a"': 1})
    posting.post()
    posting.total({'"a"': 5})
    posting.post()
    posting.check()
    with posting.ledger.transaction() as database:
        ledger_id = database.scalar(sa.select(META.c.ledger_id))
    assert [request["key"] for request in posting.reference.requests] == [
        sha256(f'{ledger_id} "a" {version}'.encode()).hexdigest() for version in (1, 2)
    ]


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


def test_a_request_that_is_applied_late_is_mended_in_the_next_hour(posting: Posting) -> None:
    posting.total({"1": 7})
    posting.reference.faults({"seconds": 4})  # the poster waits for 1 s
    poster = posting.process()
    wait_until(lambda: any(attempt.sent_at for attempt in posting.attempts()))
    posting.total({"1": 8})
    assert poster.wait(30) == 0
    assert posting.reference.counts == {"1": 8}
    wait_until(lambda: posting.reference.counts == {"1": 7})  # after the newer one
    posting.drain()
    posting.check()


def test_a_refused_version_is_a_dead_letter_and_the_next_one_is_tried(posting: Posting) -> None:
    posting.total(["1", "2", "3"])
    posting.reference.faults(REFUSED)
    assert posting.post() == {"reject": 1, "ack": 2, "pending": 0}
    [dead] = [row for row in posting.customers().values() if row.dead_version == row.version]
    assert posting.post() == {"pending": 0}
    posting.total({dead.customer_id: 9})
    assert posting.post() == {"ack": 1, "pending": 0}
    posting.check()


def test_a_few_refusals_alone_are_dead_letters(posting: Posting) -> None:
    posting.total(map(str, range(ALIKE - 1)))
    posting.reference.faults({**REFUSED, "times": 0})
    assert posting.post() == {"reject": ALIKE - 1, "pending": 0}
    assert all(row.dead_version == 1 for row in posting.customers().values())


def test_the_first_answers_all_alike_are_the_contract_and_nobody_is_dead(posting: Posting) -> None:
    posting.total(map(str, range(100)))
    posting.reference.faults({**FAILED, "times": 3}, {**REFUSED, "times": 0})
    with pytest.raises(BadInputError, match="contract: the first 20 answers .* it answered 422"):
        posting.post()
    assert [row.dead_version for row in posting.customers().values()] == [None] * 100
    assert ALIKE <= posting.outcomes()["stop"] < 100
    assert posting.outcomes()["reject"] == 0
    posting.drain()
    posting.check()


@pytest.mark.parametrize(
    "first", [{"answer": "usual"}, {"answer": "status", "status": 404, "applied": False}]
)
def test_refusals_after_another_answer_are_each_a_dead_letter(
    posting: Posting, first: dict[str, Any]
) -> None:
    posting.total(map(str, range(60)))
    posting.reference.faults(first, {**REFUSED, "times": 0})
    summary = posting.post()
    assert summary["reject"] + summary["ack"] == 60
    assert posting.outcomes()["stop"] == 0


@pytest.mark.parametrize("status", [403, 301, 307])
def test_what_would_be_refused_to_everybody_stops_the_run(posting: Posting, status: int) -> None:
    posting.total(map(str, range(300)))
    posting.reference.faults({"answer": "status", "status": status, "applied": False, "times": 0})
    with pytest.raises(BadInputError, match=f"not posted to: it answered {status}"):
        posting.post()
    assert len(posting.reference.requests) <= 2 * PACE.threads
    assert set(posting.outcomes()) <= {"stop", "unsent"}
    posting.drain()
    posting.check()


def test_one_request_of_a_customer_is_in_flight_whatever_is_applied(posting: Posting) -> None:
    posting.total({"1": 1})
    posting.reference.faults({"seconds": 0.5})
    first = posting.process()
    wait_until(lambda: any(attempt.sent_at for attempt in posting.attempts()))
    posting.total({"1": 2})  # an apply, while the first request is on its way
    with posting.ledger.transaction() as database:
        epoch = database.scalar(sa.text("SELECT max(epoch) FROM poster"))
        assert epoch is not None
        assert attempts.claim(database, epoch, 10, 1.0, 0.0) == []
    first.wait(30)
    assert [request["body"][-2] for request in posting.reference.requests] == ["1", "2"]
    posting.check()


def test_nothing_is_sent_earlier_than_asked(posting: Posting) -> None:
    posting.total(map(str, range(40)))
    posting.reference.faults({**FAILED, "status": 429, "retry_after": "2", "applied": False})
    posting.post()
    check_patience(posting, 2)


def test_nothing_is_sent_before_the_date_that_was_asked_for(posting: Posting) -> None:
    posting.total(map(str, range(40)))
    then = datetime.now(UTC) + timedelta(seconds=4)
    date = format_datetime(then, usegmt=True)
    posting.reference.faults({**FAILED, "status": 503, "retry_after": date, "applied": False})
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


def test_a_version_is_tried_so_often_in_a_run_and_again_in_the_next(posting: Posting) -> None:
    posting.total({"1": 1})
    posting.reference.faults({**FAILED, "times": 0})
    three = Pace(**{**vars(PACE), "tries": 3})
    assert posting.post(seconds=2, pace=three) == {"retry": 3, "pending": 1}
    posting.reference.faults()
    wait_until(lambda: posting.post()["pending"] == 0)
    posting.check()


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


def test_a_secret_is_in_no_log_line(posting: Posting, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    posting.service = posting.reference.service(TIMEOUT_OF_TEST, user="me", password="pl4nted")
    posting.reference.ask_for("Bearer other")
    posting.total(["1"])
    with pytest.raises(BadInputError) as raised:
        posting.post()
    assert caplog.messages
    assert "pl4nted" not in f"{caplog.text} {raised.value!r}"


TIMEOUT_OF_TEST = (1.0, 1.0)


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
    assert posting.process(crash_at=point).wait(30) == -signal.SIGKILL
    assert len(posting.reference.requests) == seen
    posting.post()
    assert posting.attempts()[0].outcome == left
    # It was closed only when nothing of it could arrive any more.
    assert posting.attempts()[0].ended_at >= posting.attempts()[0].deadline or left == "ack"
    posting.drain()
    posting.check()
    assert posting.outcomes() == ACKS[left]


ACKS = {
    "unsent": {"unsent": 1, "ack": 1},
    "ambiguous": {"ambiguous": 1, "ack": 2},  # once more in the next hour
    "ack": {"ack": 1},
}


def test_a_poster_that_was_stopped_past_its_deadline_sends_nothing_more(posting: Posting) -> None:
    posting.total(map(str, range(100)))
    posting.reference.faults({"seconds": 0.3, "times": 0})
    old = posting.process()
    wait_until(lambda: len(posting.reference.requests) > PACE.threads)
    old.send_signal(signal.SIGSTOP)
    new = posting.post()
    posting.total(map(str, range(100)), 2)
    posting.post()
    before = len(posting.reference.requests)
    old.send_signal(signal.SIGCONT)
    assert old.wait(30) == 12  # superseded
    assert len(posting.reference.requests) == before
    assert new["ack"] > 0
    posting.drain()
    posting.check()


def test_a_second_poster_waits_for_the_deadlines_of_the_first(posting: Posting) -> None:
    posting.total(map(str, range(50)))
    posting.reference.faults({"seconds": 0.3, "times": 0})
    first = posting.process()
    wait_until(lambda: posting.reference.requests)
    posting.reference.faults()
    posting.post()
    assert first.wait(30) == 12
    [one, other] = sorted({attempt.epoch for attempt in posting.attempts()})
    deadline = max(a.deadline for a in posting.attempts() if a.epoch == one and a.outcome != "ack")
    assert all(a.sent_at > deadline for a in posting.attempts() if a.epoch == other)
    posting.drain()
    posting.check()


@pytest.mark.parametrize(
    ("minute", "minutes"),
    [(10, 45), (50, 5), (57, 5)],  # up to 5 minutes before the hour, but never less than 5
)
def test_a_run_ends_before_the_next_hour(
    monkeypatch: pytest.MonkeyPatch, minute: int, minutes: int
) -> None:
    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Then":
            return cls(2026, 11, 22, 7, minute, tzinfo=tz)

    monkeypatch.setattr("millpond.interactions.post.datetime", Then)
    assert seconds_to_post() == minutes * 60


@pytest.fixture
def impatient(posting: Posting) -> Iterator[Posting]:
    """Its faults take no time, so that many examples can be tried."""
    yield posting
    posting.reference.faults()


FAULTS: list[dict[str, Any]] = [
    {},
    FAILED,
    REFUSED,
    {"answer": "status", "status": 500},
    {"answer": "status", "status": 429, "applied": False},
    {"answer": "status", "status": 408},
    {"answer": "html"},
    {"answer": "half"},
    {"answer": "reset"},
    {"answer": "reset", "applied": False},
]


@given(
    hours=st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from("1234"), st.integers(1, 50), min_size=1),
            st.lists(st.sampled_from(FAULTS), max_size=8),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_whatever_is_answered_every_value_is_the_total_in_the_end(
    impatient: Posting, hours: list[tuple[dict[str, int], list[dict[str, Any]]]]
) -> None:
    for totals, faults in hours:
        impatient.total(totals)
        impatient.reference.faults(*faults)
        impatient.post(pace=Pace(**{**vars(PACE), "first_wait": 0.01}))
    impatient.drain()
    alive = {i: r for i, r in impatient.customers().items() if r.dead_version != r.version}
    assert {i: impatient.reference.counts[i] for i in alive} == {
        i: r.total for i, r in alive.items()
    }
    assert all(row.acked_version == row.version for row in alive.values())
    impatient.check_attempts()


def test_ids_go_back_as_they_came(posting: Posting) -> None:
    posting.total({"12": 1, '"12"': 2, '"é\\"\\\\"': 3})
    posting.post()
    posting.check()
    bodies = [json.loads(request["body"]) for request in posting.reference.requests]
    assert sorted((str(b["customerId"]), b["intercationNumber"]) for b in bodies) == [
        ("12", 1),
        ("12", 2),
        ('é"\\', 3),
    ]
