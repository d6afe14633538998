"""Which date or hour a run is about."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from millpond.catalog.partitions import Hour, Partition
from millpond.catalog.tables import HOUR, Table
from millpond.errors import BadInputError


def run_partition(context: Mapping[str, Any], table: Table) -> Partition:
    """The run's hour for a table of hours, its date for any other."""
    return run_hour(context) if table.partition == HOUR else run_date(context)


def run_hour(context: Mapping[str, Any]) -> Hour:
    """The DAG param `hour` if given, else the hour in which the run's data interval starts.

    Raises:
        BadInputError: The run has neither; the sentence says what to give.
    """
    if given := context["params"].get("hour"):
        try:
            return Hour.parse(given)
        except ValueError:
            message = f"the param hour is {given!r}; give an hour as YYYY-MM-DDTHH"
            raise BadInputError(message) from None
    return Hour.of(_interval_start(context, "hour", "2026-11-22T07"))


def run_date(context: Mapping[str, Any]) -> date:
    """The DAG param `ds` if given, else the first day of the run's data interval, UTC.

    Airflow's own `ds` is the logical date: for a manual run it is not the interval's start, and
    without a logical date there is none.

    Raises:
        BadInputError: The run has neither; the sentence says what to give.
    """
    if given := context["params"].get("ds"):
        return _parse(given)
    return _interval_start(context, "ds", "2026-11-22").astimezone(UTC).date()


def _interval_start(context: Mapping[str, Any], param: str, example: str) -> datetime:
    start: datetime | None = context.get("data_interval_start")
    if start is None:
        raise BadInputError(
            f"this run has no data interval and no param {param}: trigger it with a logical date, "
            f'or with the param {param}, for example {{"{param}": "{example}"}}'
        )
    return start


def _parse(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInputError(f"the param ds is {text!r}; give a date as YYYY-MM-DD") from None
