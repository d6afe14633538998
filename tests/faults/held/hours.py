"""The hourly DAG's tasks in a world of a test's own, in a platform's folder of DAGs.

The param `world` is what they find in their environment: a topic, a root, a ledger and a customer
service. So hours long past can be filled and run, in any order and as often as one likes.
"""

import os
from typing import Any

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Param
from pendulum import datetime

from millpond.airflow.defaults import DAG_DEFAULTS, TASK_DEFAULTS
from millpond.airflow.interactions import (
    apply_task,
    count_task,
    post_task,
    reconcile_task,
    resolve_task,
    seal_task,
)


def enter(context: Any) -> None:
    """Have the task's own process be in the test's world."""
    os.environ.update(context["params"]["world"])


with DAG(
    "held_hours",
    schedule=None,
    start_date=datetime(2020, 1, 1, tz="UTC"),
    max_active_runs=1,
    params={
        "world": Param({}, type="object"),
        "hour": Param("", type="string"),
        "anew": Param(default=False, type="boolean"),
        "accept_loss": Param(default=False, type="boolean"),
    },
    **{**DAG_DEFAULTS, "default_args": {**TASK_DEFAULTS, "pre_execute": enter}},
) as held_hours:
    totals = seal_task() >> count_task() >> resolve_task() >> apply_task()
    totals >> post_task() >> reconcile_task() >> EmptyOperator(task_id="complete")
