"""Which offsets an hour is: half-open ranges, one per partition, each where the last one ended.

An hour is one of arrival: it ends in each partition before the first message whose timestamp is the
hour's end or later. A message that comes late, or out of order, is of the hour in which it comes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from millpond.catalog.partitions import Hour
from millpond.errors import BadInputError
from millpond.lake.offsets import OffsetRange


@dataclass(frozen=True)
class Sealed:
    """What is sealed already: the last hour, and for each partition the end of its last range.

    Nothing yet: `hour` is None, and `ends` has where each partition shall begin.
    """

    topic_id: str
    hour: Hour | None
    ends: Mapping[int, int]


@dataclass(frozen=True)
class Seen:
    """What Kafka has: offsets by partition, for a reader of committed messages.

    `first_at` gives for an hour's end the first offset of that time or later, None without one.
    """

    topic: str
    topic_id: str
    earliest: Mapping[int, int]
    last_stable: Mapping[int, int]
    first_at: Mapping[Hour, Mapping[int, int | None]] = field(default_factory=dict)


def plan(
    hours: Sequence[Hour], sealed: Sealed, seen: Seen, *, accept_loss: bool = False
) -> dict[Hour, tuple[OffsetRange, ...]]:
    """The ranges of hours that follow the last sealed one, in order.

    Raises:
        BadInputError: The topic is not the one that was sealed so far, or does not have all that
            comes after it; the sentence has the partitions and their offsets.
    """
    _refuse_other_topic(sealed, seen)
    ends = {partition: sealed.ends.get(partition, 0) for partition in seen.last_stable}
    planned = {}
    for hour in hours:
        planned[hour] = tuple(_range(p, start, hour, seen) for p, start in sorted(ends.items()))
        ends = {each.partition: each.end for each in planned[hour]}
    if not accept_loss:
        _refuse_loss(planned, seen)
    return planned


def _range(partition: int, start: int, hour: Hour, seen: Seen) -> OffsetRange:
    stable, found = seen.last_stable[partition], seen.first_at[hour][partition]
    # One below the start is a message from the future that an earlier hour has: it says nothing of
    # those that came after it.
    by_time = found is not None and found >= start
    end = min(found, stable) if found is not None and by_time else stable
    return OffsetRange(
        partition=partition,
        start=start,
        end=end,
        lost=max(0, min(end, seen.earliest[partition]) - start),
        how="time" if by_time else "last_stable",
    )


def needs_patience(ranges: Sequence[OffsetRange]) -> bool:
    """Whether an end is only what the partition has now: a message may still be on its way."""
    return any(each.how == "last_stable" for each in ranges)


def _refuse_other_topic(sealed: Sealed, seen: Seen) -> None:
    known = ", ".join(f"{p} up to {end}" for p, end in sorted(sealed.ends.items()))
    if sealed.topic_id != seen.topic_id:
        raise BadInputError(
            f"topic {seen.topic} was deleted and made again (its id was {sealed.topic_id} and is "
            f"{seen.topic_id}); sealed are, by partition: {known}; another topic needs another "
            "ledger, or another name in MILLPOND_INTERACTIONS_TOPIC"
        )
    for partition, end in sorted(sealed.ends.items()):
        if (stable := seen.last_stable.get(partition)) is None or stable < end:
            ends = "does not exist" if stable is None else f"ends at offset {stable}"
            raise BadInputError(
                f"partition {partition} of {seen.topic} {ends}, and is sealed up to {end}: Kafka "
                "lost messages that were counted; restore the topic's data, or begin a new topic "
                "and name it in MILLPOND_INTERACTIONS_TOPIC"
            )


def _refuse_loss(planned: Mapping[Hour, Sequence[OffsetRange]], seen: Seen) -> None:
    lost = [each for ranges in planned.values() for each in ranges if each.lost]
    if lost:
        what = "; ".join(
            f"retention lost {each.lost} offsets of partition {each.partition} of {seen.topic}, "
            f"from {each.start} to {each.start + each.lost}"
            for each in lost
        )
        raise BadInputError(
            f"{what}; the param accept_loss seals the hour without them, and records the gap"
        )
