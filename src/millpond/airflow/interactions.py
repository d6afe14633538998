"""The tasks of the hourly DAG, one function per kind."""

import os
from typing import Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import Asset, get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from pendulum import datetime

from millpond.airflow.dates import run_hour
from millpond.airflow.defaults import YARN_POOL
from millpond.airflow.operators import YarnSparkOperator
from millpond.catalog.interactions import COUNTS, Keys
from millpond.catalog.settings import Settings
from millpond.errors import BadInputError, MillpondError
from millpond.interactions.seal import seal


def beginning(settings: Settings) -> dict[str, Any]:
    """The DAG's start: every hour from the setting on is run; without it, the latest ones alone."""
    if settings.interactions_start is None:
        return {"start_date": datetime(2020, 1, 1, tz="UTC"), "catchup": False}
    return {"start_date": settings.interactions_start.start, "catchup": True}


def seal_task() -> PythonOperator:
    """`seal`: which offsets the hour is, once and for ever."""
    return PythonOperator(task_id="seal", python_callable=_seal)


def count_task() -> YarnSparkOperator:
    """`count`: the interactions at those offsets, by customer."""
    settings = Settings.from_env(os.environ)
    keys = Keys.parse(settings.interactions_keys).argument()
    return YarnSparkOperator(
        task_id="count",
        application=str(settings.apps_dir / "count_interactions.py"),
        arguments=("--kafka", settings.kafka_servers, "--keys", keys),
        table=COUNTS,
        analyses=(),
        pool=YARN_POOL,
        outlets=[Asset(COUNTS.name, uri=f"{settings.hdfs_url}{settings.root}/{COUNTS.path}")],
    )


def _seal() -> None:
    context: Any = get_current_context()
    settings = Settings.from_env(os.environ)
    try:
        seal(settings, run_hour(context), accept_loss=bool(context["params"]["accept_loss"]))
    except BadInputError as error:
        raise AirflowFailException(str(error)) from None
    except MillpondError as error:
        raise AirflowException(str(error)) from None
