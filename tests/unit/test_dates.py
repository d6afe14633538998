"""Which date or hour a run is about."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from millpond.airflow.dates import run_date, run_hour, run_partition
from millpond.catalog.analyses import RATING_HISTOGRAM
from millpond.catalog.partitions import Hour
from millpond.catalog.tables import HOUR
from millpond.errors import MillpondError

MIDNIGHT = datetime(2026, 11, 22, tzinfo=UTC)


def context(ds: str | None, start: datetime | None) -> dict[str, Any]:
    # A logical date that lies: a manual run's is the moment somebody clicked.
    return {
        "params": {"ds": ds},
        "data_interval_start": start,
        "logical_date": MIDNIGHT + timedelta(days=9),
    }


def test_the_param_wins() -> None:
    assert run_date(context("2026-01-02", MIDNIGHT)) == date(2026, 1, 2)


def test_else_it_is_the_first_day_of_the_interval() -> None:
    assert run_date(context(None, MIDNIGHT)) == date(2026, 11, 22)


def test_the_day_is_that_of_utc() -> None:
    late_in_new_york = datetime(2026, 11, 21, 19, tzinfo=timezone(timedelta(hours=-5)))
    assert run_date(context(None, late_in_new_york)) == date(2026, 11, 22)


def test_without_either_the_sentence_says_what_to_give() -> None:
    with pytest.raises(MillpondError) as raised:
        run_date(context(None, None))
    assert str(raised.value) == (
        "this run has no data interval and no param ds: trigger it with a logical date, or with "
        'the param ds, for example {"ds": "2026-11-22"}'
    )


def test_a_param_that_is_no_date_is_named() -> None:
    with pytest.raises(
        MillpondError, match=r"the param ds is '22\.11\.2026'; give a date as YYYY-"
    ):
        run_date(context("22.11.2026", None))


SEVEN = Hour(datetime(2026, 11, 22, 7, tzinfo=UTC))


def hourly_context(hour: str | None, start: datetime | None) -> dict[str, Any]:
    return {"params": {"hour": hour}, "data_interval_start": start}


def test_an_hour_is_the_param_or_that_of_the_interval_in_utc() -> None:
    assert run_hour(hourly_context("2026-11-22T07", MIDNIGHT)) == SEVEN
    two_in_new_york = datetime(2026, 11, 22, 2, tzinfo=timezone(timedelta(hours=-5)))
    assert run_hour(hourly_context(None, two_in_new_york)) == SEVEN


def test_an_hour_that_nobody_gave_or_that_is_none_is_named() -> None:
    with pytest.raises(MillpondError, match=r'param hour, for example \{"hour": "2026-11-22T07"\}'):
        run_hour(hourly_context(None, None))
    with pytest.raises(MillpondError, match="the param hour is '7'; give an hour as YYYY-MM-DDTHH"):
        run_hour(hourly_context("7", None))


def test_a_table_of_hours_has_runs_of_hours() -> None:
    mart = RATING_HISTOGRAM.mart
    of_the_hour = {"params": {"hour": "2026-11-22T07", "ds": "2026-01-02"}}
    assert run_partition(of_the_hour, replace(mart, partition=HOUR)) == SEVEN
    assert run_partition(of_the_hour, mart) == date(2026, 1, 2)
