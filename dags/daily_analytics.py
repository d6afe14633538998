"""### Every analysis, every day.

For each dataset: **stage** its source file into HDFS, **conform** it into clean rows and
quarantine; for each analysis: **analyse** the clean rows of its datasets into its mart. The run of
a day covers that day, UTC, and starts when it is over.

* *Backfill* or *clear* a run and it is computed anew; its date's rows are replaced in one commit.
* `ds`: the date to compute, instead of the run's own.
* `restage`: take the undated source file even if the date has one already.
* `anew`: no try of a task goes on with an application of an earlier try; it is ended.
* `only`: the analyses to compute; none means all.
* `set`: other values for parameters of analyses, such as `{"als_rank": 20}`.
"""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, CronDataIntervalTimetable, Param, TriggerRule
from pendulum import datetime

from millpond.airflow.defaults import DAG_DEFAULTS
from millpond.airflow.selection import parameters_schema
from millpond.airflow.tasks import analyse_task, conform_task, stage_task
from millpond.catalog.analyses import ANALYSES
from millpond.catalog.datasets import DATASETS

with DAG(
    "daily_analytics",
    description="Stage, conform and analyse every dataset of a day",
    doc_md=__doc__,
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    # A run of an earlier day would have no tasks, and succeed: before any day that has data.
    start_date=datetime(1970, 1, 1, tz="UTC"),
    max_active_runs=4,
    params={
        "ds": Param(None, type=["null", "string"], format="date", description="YYYY-MM-DD"),
        "restage": Param(default=False, type="boolean"),
        "anew": Param(default=False, type="boolean"),
        "only": Param([], type="array", items={"enum": [a.name for a in ANALYSES]}),
        "set": Param({}, **parameters_schema([p for a in ANALYSES for p in a.parameters])),
    },
    **DAG_DEFAULTS,
) as daily_analytics:
    conformed = {}
    for dataset in DATASETS:
        conformed[dataset.name] = conform_task(dataset)
        stage_task(dataset) >> conformed[dataset.name]

    # Skipped tasks are fine: a run may be for some analyses only.
    complete = EmptyOperator(task_id="complete", trigger_rule=TriggerRule.NONE_FAILED)
    for analysis in ANALYSES:
        analysed = analyse_task(analysis)
        [conformed[name] for name in analysis.inputs] >> analysed >> complete
