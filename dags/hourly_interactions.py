"""### Every interaction of an hour, counted exactly.

**seal** fixes which offsets of the topic the hour is, of every hour up to this one that has none
yet; **count** reads exactly those and publishes `interactions_counts`; **resolve** asks the
customer service who the persons are that came without an id; **apply** adds the hour to the
customers' totals; **post** tells the service each total that it has not confirmed, of this hour or
an earlier one; **reconcile** holds what was read against what was counted, added up and sent,
and publishes `interactions_balance`. The run of an hour covers the messages that arrived in it,
UTC, and starts when it is over.

* *Clear* or *backfill* an hour and it is counted anew from the same offsets, as long as Kafka has
  them; sealing is never repeated.
* `hour`: the hour to count, instead of the run's own.
* `anew`: no try goes on with an application of an earlier try; it is ended.
* `accept_loss`: seal although retention has deleted messages that nobody counted.
"""

import os

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, CronDataIntervalTimetable, Param

from millpond.airflow.defaults import DAG_DEFAULTS
from millpond.airflow.interactions import (
    apply_task,
    beginning,
    count_task,
    post_task,
    reconcile_task,
    resolve_task,
    seal_task,
)
from millpond.catalog.settings import Settings

with DAG(
    "hourly_interactions",
    description="Seal and count the interactions of an hour",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 * * * *", timezone="UTC"),
    max_active_runs=1,
    params={
        "hour": Param(
            None,
            type=["null", "string"],
            pattern=r"^\d{4}-\d\d-\d\dT\d\d$",
            description="YYYY-MM-DDTHH, UTC",
        ),
        "anew": Param(default=False, type="boolean"),
        "accept_loss": Param(default=False, type="boolean"),
    },
    **{**DAG_DEFAULTS, **beginning(Settings.from_env(os.environ))},
) as hourly_interactions:
    totals = seal_task() >> count_task() >> resolve_task() >> apply_task()
    totals >> post_task() >> reconcile_task() >> EmptyOperator(task_id="complete")
