"""seal: fix, once and for ever, which offsets every hour up to a given one is."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.crash import crash_point
from millpond.errors import BadInputError
from millpond.interactions.broker import Broker, Topic
from millpond.interactions.ledger import Ledger, Ranges
from millpond.interactions.ranges import Sealed, Seen, needs_patience, plan
from millpond.interactions.topic import findings, refuse_compacted
from millpond.lake.hdfs import Hdfs
from millpond.lake.offsets import HourOffsets, write_offsets

log = logging.getLogger(__name__)

# A partition in which nothing follows the hour may have a message of its last second on the way.
PATIENCE = timedelta(seconds=60)
# One message of 1970 would otherwise be half a million hours.
MOST_HOURS = 366 * 24


def seal(settings: Settings, hour: Hour, *, accept_loss: bool = False) -> HourOffsets:
    """The offsets of an hour; if it has none yet, those of every unsealed hour up to it are fixed.

    Raises:
        BadInputError: It is not over, or the topic does not have what comes next; nothing was
        sealed.
        MillpondError: Kafka, the ledger or HDFS does not answer.
    """
    _refuse_unfinished(hour)
    broker = Broker(settings.kafka_servers, settings.interactions_topic)
    topic = broker.topic()
    refuse_compacted(topic)
    for finding in findings(topic):
        log.warning("topic %s: %s", topic.name, finding)
    ledger = Ledger(settings.ledger_url)
    # In this order: another run may seal the hour between the two, and then its offsets are found.
    before = ledger.sealed(topic.name)
    offsets = ledger.offsets(topic.name, hour)
    if offsets is None:
        sealing = _Sealing(broker, topic, hour, settings.interactions_start, accept_loss)
        offsets = sealing.add_to(ledger, before)
    else:
        log.info("%s is sealed already", hour)
    crash_point("sealed")
    write_offsets(Hdfs(settings.hdfs_url), settings.root, offsets)
    crash_point("offsets-written")
    _say(offsets)
    return offsets


@dataclass
class _Sealing:
    broker: Broker
    topic: Topic
    hour: Hour
    start: Hour | None
    accept_loss: bool

    def add_to(self, ledger: Ledger, sealed_before: Sealed | None) -> HourOffsets:
        """Look at Kafka first, then add what follows in one short transaction."""
        before = sealed_before or self._beginning()
        hours = self._hours(before)
        seen = self._look(hours)
        planned = plan(hours, before, seen, accept_loss=self.accept_loss)
        if self._waits(planned):
            seen = self._look(hours)

        def what_follows(sealed: Sealed | None) -> Ranges:
            known = sealed or before  # another run may have sealed some of the hours meanwhile
            rest = [hour for hour in hours if known.hour is None or hour > known.hour]
            return plan(rest, known, seen, accept_loss=self.accept_loss)

        ledger.seal(self.topic, what_follows)
        found = ledger.offsets(self.topic.name, self.hour)
        assert found is not None
        return found

    def _beginning(self) -> Sealed:
        """Nothing is sealed: where each partition begins."""
        partitions = self.topic.partitions
        begin = self.broker.earliest(partitions)
        if self.start is not None:
            begin = self.broker.last_stable(partitions)
            found = self.broker.first_at(self.start.start, partitions)
            begin |= {p: offset for p, offset in found.items() if offset is not None}
        return Sealed(self.topic.id, None, begin)

    def _hours(self, sealed: Sealed) -> Sequence[Hour]:
        """Every hour after the last sealed one, up to ours."""
        first = sealed.hour.next if sealed.hour else self._first_hour()
        if first > self.hour:
            raise BadInputError(
                f"{self.hour} is before the first hour that is counted: {first} is the next to "
                "seal, and sealing never goes back"
            )
        hours = []
        while first <= self.hour:
            hours.append(first)
            first = first.next
            if len(hours) > MOST_HOURS:
                raise BadInputError(
                    f"more than {MOST_HOURS} hours lie between {hours[0]} and {self.hour}; "
                    "MILLPOND_INTERACTIONS_START must name the first hour to count"
                )
        return hours

    def _first_hour(self) -> Hour:
        if self.start is None:
            earliest = self.broker.first_moment(self.topic.partitions)
            return min(self.hour, Hour.of(earliest)) if earliest else self.hour
        return self.start

    def _look(self, hours: Sequence[Hour]) -> Seen:
        # The ends first: what comes after that is of a later hour, or has a time that is asked for.
        partitions = self.topic.partitions
        stable = self.broker.last_stable(partitions)
        first_at = {hour: self.broker.first_at(hour.end, partitions) for hour in hours}
        earliest = self.broker.earliest(partitions)
        return Seen(self.topic.name, self.topic.id, earliest, stable, first_at)

    def _waits(self, planned: Ranges) -> bool:
        """Whether it had to wait for messages that may still be on their way."""
        rest = (self.hour.end + PATIENCE - _now()).total_seconds()
        if rest <= 0 or not needs_patience(planned[self.hour]):
            return False
        log.info("waiting %.0f s for messages of %s that are on their way", rest, self.hour)
        time.sleep(rest)
        return True


def _refuse_unfinished(hour: Hour) -> None:
    if (now := _now()) < hour.end:
        raise BadInputError(
            f"{hour} is not over yet (it is {now:%Y-%m-%d %H:%M} in UTC); seal it from "
            f"{hour.end:%H:%M} on"
        )


def _now() -> datetime:
    return datetime.now(UTC)


def _say(offsets: HourOffsets) -> None:
    count = sum(each.end - each.readable_from for each in offsets.ranges)
    log.info("%s of %s: %d offsets", offsets.hour, offsets.topic, count)
    for each in offsets.ranges:
        lost = f", {each.lost} of them lost" if each.lost else ""
        log.info(
            "partition %d: %d to %d%s (%s)", each.partition, each.start, each.end, lost, each.how
        )
