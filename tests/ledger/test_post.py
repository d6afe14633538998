"""Posting from a real ledger to the reference service: what is sent, when, what is known then."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, tzinfo
from hashlib import sha256
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from millpond.errors import BadInputError
from millpond.interactions import attempts
from millpond.interactions.post import ALIKE, Pace, seconds_to_post
from millpond.interactions.schema import META
from tests.ledger.posting import PACE, PATIENT, Posting
from tests.waiting import until

REFUSED = {"answer": "status", "status": 422, "applied": False}
FAILED = {"answer": "status", "status": 500, "applied": False}


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
    posting.service = posting.reference.service((3.0, 60.0))
    with ThreadPoolExecutor(1) as pool:
        with posting.reference.held_back() as wait:
            posted = pool.submit(posting.post, pace=PATIENT)
            wait()
            posting.total({"1": 2})  # an apply, while the first request is on its way
            with posting.ledger.transaction() as database:
                epoch = database.scalar(sa.text("SELECT max(epoch) FROM poster"))
                assert epoch is not None
                assert attempts.claim(database, epoch, 10, 1.0, 0.0) == []
        posted.result()
    assert [request["body"][-2] for request in posting.reference.requests] == ["1", "2"]
    posting.check()


def test_a_version_is_tried_so_often_in_a_run_and_again_in_the_next(posting: Posting) -> None:
    posting.total({"1": 1})
    posting.reference.faults({**FAILED, "times": 0})
    three = Pace(**{**vars(PACE), "tries": 3})
    assert posting.post(seconds=2, pace=three) == {"retry": 3, "pending": 1}
    posting.reference.faults()
    until(lambda: posting.post()["pending"] == 0)
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
