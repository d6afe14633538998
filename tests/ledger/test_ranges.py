"""Ranges on the real PostgreSQL: what cannot be is refused by the database itself."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from millpond.catalog.partitions import Hour
from millpond.errors import MillpondError
from millpond.interactions.broker import Topic
from millpond.interactions.ledger import Ledger
from millpond.interactions.schema import META, OFFSET_RANGE, SCHEMA_VERSION, TOPIC
from millpond.lake.offsets import OffsetRange

SEVEN = Hour(datetime(2026, 11, 22, 7, tzinfo=UTC))
EIGHT, NINE = SEVEN.next, SEVEN.next.next


@pytest.fixture
def topic() -> Topic:
    """A name that no other test and no earlier run has used."""
    return Topic(f"t-{uuid.uuid4().hex}", "id", (0,), {})


@pytest.fixture
def insert(ledger_url: str, topic: Topic) -> Callable[..., None]:
    """A row as it is, behind the ledger's back: hour 7 of partition 0 is offsets 0 to 10."""
    engine = sa.create_engine(ledger_url, poolclass=sa.NullPool)
    with engine.begin() as database:
        database.execute(sa.insert(TOPIC).values(name=topic.name, topic_id=topic.id))

    def row(**changes: Any) -> None:
        values: dict[str, Any] = {
            "topic": topic.name,
            "partition": 0,
            "hour": EIGHT.start,
            "previous_hour": SEVEN.start,
            "start": 10,
            "end": 20,
            "lost": 0,
            "how": "time",
        }
        with engine.begin() as database:
            database.execute(sa.insert(OFFSET_RANGE).values(**{**values, **changes}))

    row(hour=SEVEN.start, previous_hour=None, start=0, end=10)
    return row


def test_the_next_range_begins_where_the_last_one_ends(
    ledger: Ledger, topic: Topic, insert: Callable[..., None]
) -> None:
    insert()
    found = ledger.sealed(topic.name)
    assert found is not None
    assert (found.hour, found.ends) == (EIGHT, {0: 20})


@pytest.mark.parametrize(
    "impossible",
    [
        {"start": 9},  # an overlap
        {"start": 11},  # a gap
        {"end": 9},  # backwards
        {"partition": 1},  # no range of that partition came before
        {"hour": NINE.start},  # not the hour after the previous one
        {"hour": NINE.start, "previous_hour": EIGHT.start},  # an hour was left out
        {"hour": SEVEN.start, "previous_hour": None},  # the same hour again
        {"previous_hour": None},  # a second beginning
        {"hour": EIGHT.start + timedelta(minutes=1), "previous_hour": None, "partition": 1},
        {"lost": 11},  # more than the range has
        {"lost": -1},
        {"how": "guessed"},
        {"topic": "never sealed"},
    ],
)
def test_a_range_that_cannot_be_is_refused(
    insert: Callable[..., None], impossible: dict[str, Any]
) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        insert(**impossible)


@pytest.mark.parametrize(
    "change",
    [
        'UPDATE offset_range SET "end" = "end" + 1 WHERE topic = :topic',
        "DELETE FROM offset_range WHERE topic = :topic",
        "TRUNCATE offset_range",
    ],
)
@pytest.mark.usefixtures("insert")
def test_a_range_is_never_changed(ledger_url: str, topic: Topic, change: str) -> None:
    engine = sa.create_engine(ledger_url, poolclass=sa.NullPool)
    with (
        pytest.raises(sa.exc.DBAPIError, match="offset_range is never changed"),
        engine.begin() as database,
    ):
        database.execute(sa.text(change), {"topic": topic.name})


def test_an_hour_is_added_whole_or_not_at_all(ledger: Ledger, topic: Topic) -> None:
    good = OffsetRange(0, 0, 10, 0, "time")
    with pytest.raises(sa.exc.IntegrityError):
        ledger.seal(topic, lambda _: {SEVEN: [good], EIGHT: [OffsetRange(0, 11, 12, 0, "time")]})
    assert ledger.sealed(topic.name) is None
    ledger.seal(topic, lambda _: {SEVEN: [good]})
    sealed = ledger.offsets(topic.name, SEVEN)
    assert sealed is not None
    assert sealed.ranges == (good,)


def test_a_ledger_of_a_later_version_is_refused(ledger_url: str, ledger: Ledger) -> None:
    engine = sa.create_engine(ledger_url, poolclass=sa.NullPool)
    with engine.begin() as database:
        database.execute(sa.update(META).values(schema_version=99))
    try:
        with pytest.raises(MillpondError, match="has schema version 99, and this Millpond writes"):
            ledger.create()
    finally:
        with engine.begin() as database:
            database.execute(sa.update(META).values(schema_version=SCHEMA_VERSION))
    ledger.create()


def test_a_ledger_that_does_not_answer_is_named() -> None:
    nowhere = Ledger("postgresql+psycopg2://ledger@/ledger?host=/nowhere")
    with pytest.raises(MillpondError, match=r"does not answer: .*MILLPOND_LEDGER_URL"):
        nowhere.sealed("interact")
