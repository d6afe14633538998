"""Which date a run is about."""

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from millpond.airflow.dates import run_date
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
