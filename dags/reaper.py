"""### No application without a run that wants it.

**reap** lists this deployment's live applications on YARN, says of each whether its task still
wants it, and ends those that no task wants: what a worker left behind that died before it could end
its application, and whose task nobody tries again.

* A scheduled run ends what the run before has listed already: nobody is there to say yes, but
  somebody could have read it an hour before.
* `dry_run`: a run that you trigger ends nothing, unless you untick it; then it ends all it lists.

A folder of uploads (`staging`) whose application has ended is removed after an hour.

In doubt an application stays. Those of other deployments, and those that Millpond has not
submitted, are never looked at.
"""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, CronDataIntervalTimetable, Param
from pendulum import datetime

from millpond.airflow.defaults import DAG_DEFAULTS
from millpond.airflow.reaping import reap_task

with DAG(
    "reaper",
    description="End applications on YARN that no run wants",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("30 * * * *", timezone="UTC"),
    start_date=datetime(2020, 1, 1, tz="UTC"),
    max_active_runs=1,
    # A leftover that somebody has to think of is a leftover that stays.
    is_paused_upon_creation=False,
    params={"dry_run": Param(default=True, type="boolean")},
    **DAG_DEFAULTS,
) as reaper:
    reap_task() >> EmptyOperator(task_id="complete")
