"""A task that a test holds, in a platform's folder of DAGs: see application.py.

`crash_at` arms a crash point of the first try, in its process and in its application; `deployment`
is another one than the platform's. `held_stock` is the same application with the provider's
operator, for benchmarks/operators.py.
"""

import os
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param
from pendulum import datetime

from millpond.airflow.defaults import DAG_DEFAULTS, TASK_DEFAULTS
from millpond.airflow.operators import YarnSparkOperator
from millpond.airflow.submission import size_options
from millpond.catalog.analyses import RATING_HISTOGRAM
from millpond.catalog.settings import Settings
from millpond.catalog.sizes import Size
from millpond.lake.hdfs import Hdfs
from millpond.lake.receipts import Receipts


class HeldOperator(YarnSparkOperator):
    """The operator itself, in a root of its own, with a crash point armed for the first try."""

    def execute(self, context: Any) -> None:
        os.environ["MILLPOND_ROOT"] = context["params"]["root"]
        if deployment := context["params"]["deployment"]:
            os.environ["MILLPOND_DEPLOYMENT"] = deployment
        if context["ti"].try_number == 1:
            os.environ["MILLPOND_CRASH_AT"] = context["params"]["crash_at"]
            self.env_vars = {"MILLPOND_CRASH_AT": context["params"]["crash_at"]}
        super().execute(context)


# In no pool: a task that is held would keep others waiting.
COMMON: dict[str, Any] = {
    "task_id": "held",
    "application": str(Path(__file__).resolve().parent / "application.py"),
    **size_options(Size(driver_mb=512, executor_mb=512)),
}


def held(**more: Any) -> HeldOperator:
    return HeldOperator(table=RATING_HISTOGRAM.mart, analyses=(), **COMMON, **more)


def claim(context: Any) -> None:
    """Without a claim the application would not publish; the stock operator knows of none."""
    given, hdfs = context["params"], Hdfs(Settings.from_env(os.environ).hdfs_url)
    ds = date.fromisoformat(given["ds"])
    receipts = Receipts(hdfs, given["root"], RATING_HISTOGRAM.name, ds)
    receipts.claim(f"stock-{context['ti'].try_number}")


def stock() -> SparkSubmitOperator:
    """The provider's operator as its documents have it, with the same application."""
    return SparkSubmitOperator(
        name="{{ dag.dag_id }}/held {{ params.ds }} {{ run_id }}",
        application_args=[
            *("--ds", "{{ params.ds }}", "--generation", "stock"),
            *("--attempt", "{{ ti.try_number }}", "--run-id={{ run_id }}"),
            *("--root", "{{ params.root }}"),
        ],
        yarn_track_via_rm_api=True,
        pre_execute=claim,
        **COMMON,
    )


# A part that was killed is back within a minute.
QUICK = {
    **TASK_DEFAULTS,
    "retries": 8,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": False,
}
DEFAULTS = {
    **DAG_DEFAULTS,
    "default_args": QUICK,
    "start_date": datetime(2020, 1, 1, tz="UTC"),
    "params": {
        "ds": Param("", type="string"),
        "root": Param("", type="string"),
        "anew": Param(default=False, type="boolean"),
        "crash_at": Param("", type="string"),
        "deployment": Param("", type="string"),
    },
}

with DAG("held", schedule=None, **DEFAULTS) as held_dag:
    held()

with DAG(
    "held_for_an_hour", schedule=None, dagrun_timeout=timedelta(hours=1), **DEFAULTS
) as held_for_an_hour:
    held()

with DAG("held_and_retried_late", schedule=None, **DEFAULTS) as held_and_retried_late:
    held(retry_delay=timedelta(minutes=10))

with DAG("held_beside", schedule=None, **DEFAULTS) as held_beside:
    held()
    EmptyOperator(task_id="other")

with DAG("held_stock", schedule=None, **DEFAULTS) as held_stock:
    stock()
