"""Which tasks a run was asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException


def skip_unless_wanted(context: Mapping[str, Any], analyses: Sequence[str]) -> None:
    """Skip the task in a run whose param `only` names none of the analyses that need it."""
    only = context["params"].get("only") or []
    if only and not set(only) & set(analyses):
        raise AirflowSkipException(f"this run is only for {', '.join(only)}")
