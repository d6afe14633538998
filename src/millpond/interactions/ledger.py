"""The ledger: what was decided once and for ever, in PostgreSQL.

Its constraints are the rules. The ranges of a partition are a chain: each refers to the one of the
hour before by its end, so none can overlap, leave a gap, or be the first a second time; and a
trigger refuses to change or delete one.
"""

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
from millpond.lake.offsets import HourOffsets, OffsetRange

SCHEMA_VERSION = 1
Ranges = Mapping[Hour, Sequence[OffsetRange]]

SCHEMA = sa.MetaData()

META = sa.Table(
    "meta",
    SCHEMA,
    sa.Column("one", sa.Boolean, sa.CheckConstraint("one"), primary_key=True, default=True),
    sa.Column("ledger_id", sa.Uuid, nullable=False, server_default=sa.func.gen_random_uuid()),
    sa.Column("schema_version", sa.Integer, nullable=False),
)

TOPIC = sa.Table(
    "topic",
    SCHEMA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("topic_id", sa.Text, nullable=False),
)

OFFSET_RANGE = sa.Table(
    "offset_range",
    SCHEMA,
    sa.Column("topic", sa.Text, sa.ForeignKey(TOPIC.c.name), primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("hour", sa.DateTime(timezone=True), primary_key=True),
    # The hour before, whose end is this one's start; null for a partition's first range.
    sa.Column("previous_hour", sa.DateTime(timezone=True)),
    sa.Column("start", sa.BigInteger, nullable=False),
    sa.Column("end", sa.BigInteger, nullable=False),
    sa.Column("lost", sa.BigInteger, nullable=False),
    sa.Column("how", sa.Text, nullable=False),
    sa.Column(
        "sealed_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
    ),
    sa.UniqueConstraint("topic", "partition", "hour", "end", name="offset_range_end"),
    sa.ForeignKeyConstraint(
        ["topic", "partition", "previous_hour", "start"],
        ["offset_range.topic", "offset_range.partition", "offset_range.hour", "offset_range.end"],
        name="offset_range_follows",
    ),
    sa.CheckConstraint("hour = date_trunc('hour', hour, 'UTC')", name="offset_range_is_an_hour"),
    sa.CheckConstraint("previous_hour = hour - interval '1 hour'", name="offset_range_is_next"),
    sa.CheckConstraint(
        'partition >= 0 AND 0 <= start AND start <= "end"', name="offset_range_order"
    ),
    sa.CheckConstraint('0 <= lost AND lost <= "end" - start', name="offset_range_lost"),
    sa.CheckConstraint("how IN ('time', 'last_stable')", name="offset_range_how"),
)
sa.Index(
    "offset_range_first",
    OFFSET_RANGE.c.topic,
    OFFSET_RANGE.c.partition,
    unique=True,
    postgresql_where=OFFSET_RANGE.c.previous_hour.is_(None),
)

NEVER_CHANGED = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is never changed', TG_TABLE_NAME; END $$;
CREATE OR REPLACE TRIGGER never_changed BEFORE UPDATE OR DELETE ON offset_range
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER never_emptied BEFORE TRUNCATE ON offset_range
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


class Ledger:
    """The ledger at a database URL."""

    def __init__(self, url: str) -> None:
        self._url = url
        # Tasks are short-lived processes: a pool would keep nothing for anybody.
        self._engine = sa.create_engine(url, poolclass=sa.NullPool)

    def create(self) -> None:
        """Create what does not exist of the schema.

        Raises:
            MillpondError: It has a schema of another version.
        """
        with self._transaction() as database:
            SCHEMA.create_all(database)
            database.execute(sa.text(NEVER_CHANGED))
            version = postgresql.insert(META).values(one=True, schema_version=SCHEMA_VERSION)
            database.execute(version.on_conflict_do_nothing())
            found = database.scalar(sa.select(META.c.schema_version))
        if found != SCHEMA_VERSION:
            raise MillpondError(
                f"the ledger at {self._url} has schema version {found}, and this Millpond writes "
                f"{SCHEMA_VERSION}; use the Millpond that wrote it"
            )

    def sealed(self, topic: str) -> Sealed | None:
        """What is sealed of a topic; None if nothing is."""
        with self._transaction() as database:
            return _sealed(database, topic)

    def offsets(self, topic: str, hour: Hour) -> HourOffsets | None:
        """The ranges of an hour; None if it is not sealed."""
        of_the_hour = sa.select(OFFSET_RANGE).where(
            OFFSET_RANGE.c.topic == topic, OFFSET_RANGE.c.hour == hour.start
        )
        with self._transaction() as database:
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
        with self._transaction() as database:
            hours = [Hour.of(moment) for moment in database.scalars(newest)]
        return [found for hour in hours if (found := self.offsets(topic, hour))]

    def seal(self, topic: Topic, plan: Callable[[Sealed | None], Ranges]) -> None:
        """Add the ranges that `plan` makes of what is sealed, all or none.

        One at a time: a second one waits, and plans from what the first has added.
        """
        with self._transaction() as database:
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
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as database:
                yield database
        except sa.exc.OperationalError as error:
            cause = str(error.orig).strip().partition("\n")[0]
            raise MillpondError(
                f"the ledger at {self._url} does not answer: {cause}; `millpond status` says "
                "whether PostgreSQL is up, MILLPOND_LEDGER_URL where it is"
            ) from error


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
