"""Which offsets an hour is: each offset in exactly one, whatever the timestamps say."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from millpond.catalog.partitions import Hour
from millpond.errors import BadInputError
from millpond.interactions.ranges import Sealed, Seen, needs_patience, plan
from millpond.lake.offsets import OffsetRange

FIRST = Hour(datetime(2026, 11, 22, 7, tzinfo=UTC))
SECOND = FIRST.next


def hours(count: int) -> list[Hour]:
    return [Hour.of(FIRST.start + timedelta(hours=n)) for n in range(count)]


def seen(partitions: dict[int, list[int]], count: int, first: int = 0) -> Seen:
    """What Kafka says of partitions whose messages have these times, in hours after the first."""
    return Seen(
        topic="interact",
        topic_id="id",
        earliest=dict.fromkeys(partitions, first),
        last_stable={p: len(times) for p, times in partitions.items()},
        first_at={
            hour: {
                p: next((n for n, time in enumerate(times) if n >= first and time > index), None)
                for p, times in partitions.items()
            }
            for index, hour in enumerate(hours(count))
        },
    )


def ends(planned: dict[Hour, tuple[OffsetRange, ...]], partition: int = 0) -> list[int]:
    return [r.end for ranges in planned.values() for r in ranges if r.partition == partition]


NOTHING = Sealed("id", None, {0: 0})


def test_an_hour_ends_before_the_first_message_of_the_next() -> None:
    #        offsets 0  1  2  3  4
    times = {0: [0, 0, 1, 1, 2]}
    planned = plan(hours(2), NOTHING, seen(times, 2))
    assert planned == {
        FIRST: (OffsetRange(0, 0, 2, 0, "time"),),
        SECOND: (OffsetRange(0, 2, 4, 0, "time"),),
    }


def test_a_late_message_is_of_the_hour_in_which_it_comes() -> None:
    assert ends(plan(hours(2), NOTHING, seen({0: [0, 1, 0, 2]}, 2))) == [1, 3]


def test_an_idle_partition_and_an_empty_hour_are_sealed() -> None:
    planned = plan(hours(2), Sealed("id", None, {0: 0, 1: 0}), seen({0: [0], 1: []}, 2))
    assert (ends(planned, 0), ends(planned, 1)) == ([1, 1], [0, 0])
    assert needs_patience(planned[SECOND])


def test_a_message_from_the_future_does_not_hold_up_those_after_it() -> None:
    # Offset 1 says hour 2; what comes after it in hour 1 is of hour 1, at the latest.
    assert ends(plan(hours(2), NOTHING, seen({0: [0, 2, 0, 1, 1]}, 2))) == [1, 1]
    # Once an hour has taken it in, it says nothing of those that came after it.
    taken = Sealed("id", FIRST, {0: 3})
    [planned] = plan([SECOND], taken, seen({0: [0, 2, 0, 1, 1]}, 2)).values()
    assert planned == (OffsetRange(0, 3, 5, 0, "last_stable"),)


def test_an_open_transaction_ends_the_hour_before_it() -> None:
    of_both = replace(seen({0: [0, 0, 0, 1]}, 1), last_stable={0: 1})
    assert ends(plan([FIRST], NOTHING, of_both)) == [1]


def test_a_new_partition_begins_at_its_beginning() -> None:
    planned = plan([SECOND], Sealed("id", FIRST, {0: 1}), seen({0: [0, 1], 1: [1, 1]}, 2))
    assert planned[SECOND][1] == OffsetRange(1, 0, 2, 0, "last_stable")


def test_what_retention_took_is_refused_with_its_figures_unless_it_is_accepted() -> None:
    of_both = seen({0: [0] * 5 + [1]}, 2, first=3)
    with pytest.raises(BadInputError) as raised:
        plan(hours(1), Sealed("id", None, {0: 1}), of_both)
    assert str(raised.value) == (
        "retention lost 2 offsets of partition 0 of interact, from 1 to 3; the param accept_loss "
        "seals the hour without them, and records the gap"
    )
    planned = plan(hours(2), Sealed("id", None, {0: 1}), of_both, accept_loss=True)
    assert planned[FIRST] == (OffsetRange(0, 1, 5, 2, "time"),)
    assert planned[SECOND] == (OffsetRange(0, 5, 6, 0, "last_stable"),)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"topic_id": "other"}, r"deleted and made again .* sealed are, by partition: 0 up to 4"),
        (
            {"last_stable": {0: 3}},
            "partition 0 of interact ends at offset 3, and is sealed up to 4",
        ),
        ({"last_stable": {1: 9}}, "partition 0 of interact does not exist, and is sealed up to 4"),
    ],
)
def test_another_topic_than_the_one_that_was_sealed_is_refused(
    change: dict[str, object], says: str
) -> None:
    of_both = replace(seen({0: [0, 0, 0, 0, 1]}, 2), **change)  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match=says):
        plan([SECOND], Sealed("id", FIRST, {0: 4}), of_both)


@given(
    times=st.dictionaries(st.integers(0, 3), st.lists(st.integers(0, 6), max_size=12), min_size=1),
    cut=st.integers(0, 5),
)
def test_ranges_cover_every_offset_once_however_the_hours_are_sealed(
    times: dict[int, list[int]], cut: int
) -> None:
    whole = seen(times, 6)
    before = Sealed("id", None, dict.fromkeys(times, 0))
    at_once = plan(hours(6), before, whole)
    for partition, messages in times.items():
        ranges = [r for each in at_once.values() for r in each if r.partition == partition]
        assert [r.start for r in ranges] == [0, *(r.end for r in ranges[:-1])]
        assert ranges[-1].end <= len(messages)
    # In two goes, the second from what the first has left: the same ranges.
    first = plan(hours(6)[:cut], before, whole)
    left = {r.partition: r.end for r in list(first.values())[-1]} if first else before.ends
    sealed = Sealed("id", hours(6)[cut - 1] if cut else None, left)
    assert {**first, **plan(hours(6)[cut:], sealed, whole)} == at_once
