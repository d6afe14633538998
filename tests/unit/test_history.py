"""The checker of histories, on one that is right and on each that is wrong in one way."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from millpond.catalog.partitions import Hour
from tests.history import History, first_violation

SEVEN = Hour(datetime(2026, 11, 22, 7, tzinfo=UTC))
EIGHT = SEVEN.next

RIGHT = History(
    truth={SEVEN: {"id:1": 3, "person:a": 2, "person:b": 9}, EIGHT: {"id:1": 4}},
    contributions={SEVEN: {"id:1": 3, "person:a": 2, "person:b": 9}, EIGHT: {"id:1": 4}},
    quarantined={SEVEN: 1},
    found_quarantined={SEVEN: 1, EIGHT: 0},
    ranges=[(0, SEVEN, 0, 15), (0, EIGHT, 15, 19), (1, EIGHT, 0, 0)],
    earlier_ranges=[(0, SEVEN, 0, 15)],
    customers={"id:1": "1", "person:a": "1"},
    openings={"1": 100, "2": 50},
    requested=[("1", 100 + 3), ("1", 100 + 3), ("1", 100 + 3 + 2 + 4)],
    taken=[("1", 100 + 3), ("1", 100 + 3 + 2 + 4)],
    planned=[("1", 100 + 3), ("1", 100 + 3), ("1", 100 + 3 + 2 + 4)],
    confirmed=[("1", 100 + 3 + 2 + 4)],
)
LAST = RIGHT.taken[-1]


def test_a_history_that_is_right_is_not_complained_of() -> None:
    assert first_violation(RIGHT) is None


def test_what_was_sent_and_got_no_answer_may_have_been_lost_on_the_way() -> None:
    assert first_violation(replace(RIGHT, planned=[*RIGHT.planned, LAST])) is None


@pytest.mark.parametrize(
    ("wrong", "invariant", "what"),
    [
        # 3: a gap, an overlap, an hour left out, one that goes backwards, and one that changed
        (
            {"ranges": [(0, SEVEN, 0, 15), (0, EIGHT, 16, 19)]},
            3,
            "partition 0: 2026-11-22T08 is 16",
        ),
        (
            {"ranges": [(0, SEVEN, 0, 15), (0, EIGHT, 14, 19)]},
            3,
            "partition 0: 2026-11-22T08 is 14",
        ),
        ({"ranges": [(0, SEVEN, 0, 15), (0, EIGHT.next, 15, 19)]}, 3, "2026-11-22T09 is 15 to 19"),
        ({"ranges": [(0, SEVEN, 15, 0)]}, 3, "2026-11-22T07 is 15 to 0, first"),
        ({"earlier_ranges": [(0, SEVEN, 0, 14)]}, 3, "was 0 to 14, and is not now"),
        ({"earlier_ranges": [(2, SEVEN, 0, 1)]}, 3, "partition 2: 2026-11-22T07 was 0 to 1"),
        # 1: lost, counted twice, made up, in the wrong hour, and in no table
        (
            {"contributions": {**RIGHT.contributions, EIGHT: {"id:1": 3}}},
            1,
            "2026-11-22T08: 4 of id:1 were sent, and 3 contribute",
        ),
        (
            {"contributions": {**RIGHT.contributions, EIGHT: {"id:1": 8}}},
            1,
            "2026-11-22T08: 4 of id:1 were sent, and 8 contribute",
        ),
        (
            {"contributions": {**RIGHT.contributions, EIGHT: {"id:1": 4, "id:2": 1}}},
            1,
            "2026-11-22T08: 0 of id:2 were sent, and 1 contribute",
        ),
        ({"contributions": {SEVEN: RIGHT.contributions[SEVEN]}}, 1, "4 of id:1 were sent, and 0"),
        (
            {"contributions": {**RIGHT.contributions, EIGHT.next: {"id:1": 1}}},
            1,
            "2026-11-22T09: 0 of id:1 were sent, and 1 contribute",
        ),
        ({"found_quarantined": {}}, 1, "1 bad messages were sent, and 0 are in quarantine"),
        # 2: never posted, an older value last, a total that is not the truth, a stranger's count
        ({"taken": []}, 2, "the service has None of customer 1, and should have 109"),
        ({"taken": RIGHT.taken[::-1]}, 2, "has 103 of customer 1, and should have 109"),
        ({"openings": {"1": 0}}, 2, "has 109 of customer 1, and should have 9"),
        ({"customers": {"id:1": "1"}}, 2, "has 109 of customer 1, and should have 107"),
        ({"taken": [*RIGHT.taken, ("2", 51)]}, 2, "has 51 of customer 2, and should have 50"),
        # 6: a request that nobody planned, one more than was planned, an ack without a request
        (
            {"requested": [*RIGHT.requested, ("2", 1)]},
            6,
            "saw 1 of customer 2 1 times more than was planned",
        ),
        ({"planned": RIGHT.planned[1:]}, 6, "saw 103 of customer 1 1 times more"),
        (
            {"confirmed": [*RIGHT.confirmed, LAST]},
            6,
            "109 of customer 1 is confirmed 1 times more than it was taken",
        ),
    ],
)
def test_a_history_that_is_wrong_in_one_way_is_named_so(
    wrong: dict[str, Any], invariant: int, what: str
) -> None:
    found = first_violation(replace(RIGHT, **wrong))
    assert found is not None
    assert found.invariant == invariant
    assert what in found.what
