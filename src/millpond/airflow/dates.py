"""Which date a run is about."""

from collections.abc import Mapping
from datetime import UTC, date
from typing import Any

from millpond.errors import BadInputError


def run_date(context: Mapping[str, Any]) -> date:
    """The DAG param `ds` if given, else the first day of the run's data interval, UTC.

    Airflow's own `ds` is the logical date: for a manual run it is not the interval's start, and
    without a logical date there is none.

    Raises:
        BadInputError: The run has neither; the sentence says what to give.
    """
    if given := context["params"].get("ds"):
        return _parse(given)
    start = context.get("data_interval_start")
    if start is None:
        raise BadInputError(
            "this run has no data interval and no param ds: trigger it with a logical date, "
            'or with the param ds, for example {"ds": "2026-11-22"}'
        )
    day: date = start.astimezone(UTC).date()
    return day


def _parse(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInputError(f"the param ds is {text!r}; give a date as YYYY-MM-DD") from None
