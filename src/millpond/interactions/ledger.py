"""The ledger: what was decided once and for ever, in PostgreSQL."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from millpond.catalog.partitions import Hour
from millpond.errors import MillpondError
from millpond.interactions.broker import Topic
from millpond.interactions.ranges import Sealed
from millpond.interactions.schema import (
    META,
    NEVER_CHANGED,
    OFFSET_RANGE,
    SCHEMA,
    SCHEMA_VERSION,
    TOPIC,
)
from millpond.lake.offsets import HourOffsets, OffsetRange

Ranges = Mapping[Hour, Sequence[OffsetRange]]


class Ledger:
    """The ledger at a database URL."""

    def __init__(self, url: str) -> None:
        self._url = url
        # Tasks are short-lived processes: a pool would keep nothing for anybody.
        self._engine = sa.create_engine(url, poolclass=sa.NullPool)

    def create(self) -> None:
        """Create what does not exist of the schema: each version has only added to the one before.

        Raises:
            MillpondError: It has a schema of a later version.
        """
        with self.transaction() as database:
            SCHEMA.create_all(database)
            database.execute(sa.text(NEVER_CHANGED))
            first = postgresql.insert(META).values(one=True, schema_version=SCHEMA_VERSION)
            database.execute(first.on_conflict_do_nothing())
            found = database.scalar(sa.select(META.c.schema_version)) or 0
            if found > SCHEMA_VERSION:
                raise MillpondError(
                    f"the ledger at {self._url} has schema version {found}, and this Millpond "
                    f"writes {SCHEMA_VERSION}; use the Millpond that wrote it"
                )
            database.execute(sa.update(META).values(schema_version=SCHEMA_VERSION))

    def sealed(self, topic: str) -> Sealed | None:
        """What is sealed of a topic; None if nothing is."""
        with self.transaction() as database:
            return _sealed(database, topic)

    def offsets(self, topic: str, hour: Hour) -> HourOffsets | None:
        """The ranges of an hour; None if it is not sealed."""
        of_the_hour = sa.select(OFFSET_RANGE).where(
            OFFSET_RANGE.c.topic == topic, OFFSET_RANGE.c.hour == hour.start
        )
        with self.transaction() as database:
            rows = database.execute(of_the_hour.order_by(OFFSET_RANGE.c.partition)).all()
            id_ = database.scalar(sa.select(TOPIC.c.topic_id).where(TOPIC.c.name == topic))
        if not rows:
            return None
        ranges = tuple(OffsetRange(r.partition, r.start, r.end, r.lost, r.how) for r in rows)
        return HourOffsets(topic, str(id_), hour, ranges)

    def hours(self, topic: str, limit: int) -> list[HourOffsets]:
        """The last sealed hours, the newest first."""
        newest = (
            sa.select(OFFSET_RANGE.c.hour)
            .where(OFFSET_RANGE.c.topic == topic)
            .distinct()
            .order_by(OFFSET_RANGE.c.hour.desc())
            .limit(limit)
        )
        with self.transaction() as database:
            hours = [Hour.of(moment) for moment in database.scalars(newest)]
        return [found for hour in hours if (found := self.offsets(topic, hour))]

    def seal(self, topic: Topic, plan: Callable[[Sealed | None], Ranges]) -> None:
        """Add the ranges that `plan` makes of what is sealed, all or none.

        One at a time: a second one waits, and plans from what the first has added.
        """
        with self.transaction() as database:
            database.execute(sa.text("LOCK TABLE offset_range IN SHARE ROW EXCLUSIVE MODE"))
            sealed = _sealed(database, topic.name)
            planned = plan(sealed)
            if sealed is None:
                database.execute(sa.insert(TOPIC).values(name=topic.name, topic_id=topic.id))
            known = set(sealed.ends) if sealed else set()
            for hour, ranges in planned.items():
                rows = [_row(topic.name, hour, each, known) for each in ranges]
                database.execute(sa.insert(OFFSET_RANGE), rows)
                known = {each.partition for each in ranges}

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """A connection whose work is kept whole when the block ends well, and else not at all.

        Raises:
            MillpondError: The database does not answer.
        """
        try:
            with self._engine.begin() as database:
                yield database
        # InterfaceError: it broke off under a COPY, which is not SQLAlchemy's, and nothing is left
        # to roll back.
        except (sa.exc.OperationalError, sa.exc.InterfaceError) as error:
            cause = str(error.orig).strip().partition("\n")[0]
            raise MillpondError(
                f"the ledger at {self._url} does not answer: {cause}; `millpond status` says "
                "whether PostgreSQL is up, MILLPOND_LEDGER_URL where it is"
            ) from error


def no_such_person(identity: str) -> MillpondError:
    """What to say of a person that the ledger does not have."""
    return MillpondError(
        f"the ledger has no person {identity}; `millpond interactions resolve` lists those that "
        "wait"
    )


def _sealed(database: sa.Connection, topic: str) -> Sealed | None:
    columns = OFFSET_RANGE.c
    last = database.scalar(sa.select(sa.func.max(columns.hour)).where(columns.topic == topic))
    if last is None:
        return None
    of_the_last = sa.select(columns.partition, columns.end).where(
        columns.topic == topic, columns.hour == last
    )
    ends = {row.partition: row.end for row in database.execute(of_the_last)}
    id_ = database.scalar(sa.select(TOPIC.c.topic_id).where(TOPIC.c.name == topic))
    return Sealed(str(id_), Hour.of(last), ends)


def _row(topic: str, hour: Hour, of: OffsetRange, known: set[int]) -> dict[str, Any]:
    previous = hour.start.astimezone(UTC) - timedelta(hours=1)
    return {
        "topic": topic,
        "partition": of.partition,
        "hour": hour.start,
        "previous_hour": previous if of.partition in known else None,
        "start": of.start,
        "end": of.end,
        "lost": of.lost,
        "how": of.how,
    }
