"""Hours: one way to write each, and what follows which."""

from datetime import UTC, date, datetime, timedelta, timezone

import hypothesis.strategies as st
import pytest
from hypothesis import given

from millpond.catalog import zones
from millpond.catalog.analyses import RATING_HISTOGRAM
from millpond.catalog.partitions import Hour

SEVEN = Hour(datetime(2026, 11, 22, 7, tzinfo=UTC))


def test_an_hour_is_written_with_its_day() -> None:
    assert str(SEVEN) == "2026-11-22T07"
    assert Hour.parse("2026-11-22T07") == SEVEN


@given(moment=st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  of UTC
def test_every_moment_is_in_its_hour(moment: datetime) -> None:
    hour = Hour.of(moment)
    assert hour.start <= moment < hour.start + timedelta(hours=1)
    assert Hour.parse(str(hour)) == hour


def test_the_next_hour_begins_where_this_one_ends() -> None:
    last = Hour.parse("2026-12-31T23")
    assert str(last.next) == "2027-01-01T00"
    assert last.end == last.next.start
    assert last < last.next


def test_an_hour_is_one_of_utc() -> None:
    half_past_eight_in_berlin = datetime(2026, 11, 22, 8, 30, tzinfo=timezone(timedelta(hours=1)))
    assert Hour.of(half_past_eight_in_berlin) == SEVEN


@pytest.mark.parametrize(
    "text", ["2026-11-22", "2026-11-22T7", "2026-11-22T07:00", "2026-11-22T24"]
)
def test_what_is_not_written_as_an_hour_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=text.replace("-", r"\-")):
        Hour.parse(text)


def test_half_an_hour_later_is_no_start() -> None:
    with pytest.raises(ValueError, match="is not the start of an hour"):
        Hour(SEVEN.start + timedelta(minutes=30))


def test_a_path_names_the_kind_of_partition() -> None:
    receipts = zones.receipts("/millpond", "interactions_counts", SEVEN)
    assert receipts == "/millpond/receipts/interactions_counts/hour=2026-11-22T07"
    daily = zones.receipts("/millpond", "rating_histogram", date(2026, 11, 22))
    assert daily == "/millpond/receipts/rating_histogram/ds=2026-11-22"


def test_a_date_is_a_date_in_sql() -> None:
    assert RATING_HISTOGRAM.mart.partition_literal(date(2026, 11, 22)) == "DATE '2026-11-22'"
