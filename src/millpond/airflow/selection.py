"""What a run was asked for: which analyses, with which parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from millpond.catalog.analyses import Parameter


def skip_unless_wanted(context: Mapping[str, Any], analyses: Sequence[str]) -> None:
    """Skip the task in a run whose param `only` names none of the analyses that need it."""
    only = context["params"].get("only") or []
    if only and not set(only) & set(analyses):
        raise AirflowSkipException(f"this run is only for {', '.join(only)}")


def parameters_schema(parameters: Sequence[Parameter]) -> dict[str, Any]:
    """What the param `set` may hold, as JSON Schema: Airflow refuses a run with anything else."""
    properties = {
        parameter.name: {
            "type": "integer" if isinstance(parameter.default, int) else "number",
            "minimum": parameter.minimum,
            "maximum": parameter.maximum,
            "description": f"{parameter.meaning}; {parameter.default} by default",
        }
        for parameter in parameters
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def settings_of(
    context: Mapping[str, Any], parameters: Sequence[Parameter]
) -> tuple[tuple[str, str], ...]:
    """Of the run's param `set`, what is about these parameters."""
    given = context["params"].get("set") or {}
    names = (parameter.name for parameter in parameters)
    return tuple((name, str(given[name])) for name in names if name in given)
