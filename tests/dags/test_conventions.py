"""What every DAG keeps to, and how the daily one is wired."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from airflow.sdk import DAG, CronDataIntervalTimetable, WeightRule
from jinja2 import StrictUndefined

from millpond.airflow.defaults import SERVICE_POOL, YARN_POOL
from millpond.airflow.interactions import beginning
from millpond.airflow.operators import YarnSparkOperator
from millpond.catalog.analyses import ANALYSES
from millpond.catalog.datasets import DATASETS
from millpond.catalog.settings import Settings
from tests.dags.conftest import DAG_FILES, all_dags, dags_of

MOST_LINES = 80


@pytest.fixture(params=all_dags(), ids=lambda dag: dag.dag_id)
def dag(request: pytest.FixtureRequest) -> DAG:
    found: DAG = request.param
    return found


@pytest.mark.parametrize("file", DAG_FILES, ids=lambda file: file.name)
def test_a_dag_file_is_a_short_declaration(file: Path) -> None:
    text = file.read_text()
    assert [dag.dag_id for dag in dags_of(file)] == [file.stem]
    assert len(text.splitlines()) <= MOST_LINES
    # `{{ ds }}` is the logical date, which a manual run has not or has wrong: run_date(context).
    assert not re.search(r"\{\{\s*ds\b", text)
    # A clock makes each parse another DAG; the provider's operator never reruns a cleared task.
    assert not re.search(r"\bnow\(|\butcnow\(|\btoday\(|SparkSubmitOperator", text)


def test_a_dag_says_what_it_is_and_who_owns_it(dag: DAG) -> None:
    assert dag.description
    assert dag.doc_md
    assert "millpond" in dag.tags
    assert {task.owner for task in dag.tasks} == {"millpond"}


def test_a_dag_has_intervals_and_does_not_catch_up_by_itself(dag: DAG) -> None:
    # A bare cron string would make runs whose interval is empty.
    assert isinstance(dag.timetable, CronDataIntervalTimetable)
    # The hourly one does, once it is told from when on.
    assert dag.catchup is False


def test_interactions_are_counted_from_the_hour_of_the_setting_on() -> None:
    told = Settings.from_env({"MILLPOND_INTERACTIONS_START": "2026-11-22T07"})
    assert beginning(told) == {"start_date": datetime(2026, 11, 22, 7, tzinfo=UTC), "catchup": True}
    assert beginning(Settings.from_env({}))["catchup"] is False


def test_the_hourly_dag_is_one_chain_and_runs_one_hour_at_a_time() -> None:
    [hourly] = [dag for dag in all_dags() if dag.dag_id == "hourly_interactions"]
    assert hourly.max_active_runs == 1
    chain = ("seal", "count", "resolve", "apply", "post", "reconcile", "complete")
    assert set(hourly.task_ids) == set(chain)
    for before, task in pairwise(chain):
        assert hourly.get_task(task).upstream_task_ids == {before}
    assert hourly.get_task("post").pool == SERVICE_POOL
    assert hourly.get_task("reconcile").trigger_rule == "all_done"
    assert [asset.name for asset in hourly.get_task("count").outlets] == ["interactions_counts"]


def test_an_unknown_name_in_a_template_is_an_error(dag: DAG) -> None:
    assert dag.template_undefined is StrictUndefined


def test_every_task_is_retried_and_bounded_in_time(dag: DAG) -> None:
    for task in dag.tasks:
        assert (task.retries or 0) >= 1
        assert task.retry_exponential_backoff
        assert isinstance(task.execution_timeout, timedelta)


def test_every_application_takes_a_slot_of_the_pool(dag: DAG) -> None:
    for task in dag.tasks:
        assert (task.pool == YARN_POOL) == isinstance(task, YarnSparkOperator)


def test_every_dag_ends_in_one_task_that_others_can_wait_for(dag: DAG) -> None:
    assert [task.task_id for task in dag.leaves] == ["complete"]


def test_the_daily_dag_is_the_catalogue() -> None:
    [daily] = [dag for dag in all_dags() if dag.dag_id == "daily_analytics"]
    assert set(daily.task_ids) == {
        "complete",
        *(f"{verb}.{dataset.name}" for dataset in DATASETS for verb in ("stage", "conform")),
        *(f"analyse.{analysis.name}" for analysis in ANALYSES),
    }
    for analysis in ANALYSES:
        task = daily.get_task(f"analyse.{analysis.name}")
        assert task.upstream_task_ids == {f"conform.{name}" for name in analysis.inputs}
        assert [asset.name for asset in task.outlets] == [analysis.name]
    for dataset in DATASETS:
        conform = daily.get_task(f"conform.{dataset.name}")
        assert conform.upstream_task_ids == {f"stage.{dataset.name}"}


def test_of_tasks_that_wait_for_room_those_that_the_longest_analysis_needs_go_first() -> None:
    [daily] = [dag for dag in all_dags() if dag.dag_id == "daily_analytics"]
    assert {task.weight_rule for task in daily.tasks} == {WeightRule.DOWNSTREAM}

    def weight(task_id: str) -> int:
        below = daily.get_task(task_id).get_flat_relatives(upstream=False)
        return sum(task.priority_weight for task in (daily.get_task(task_id), *below))

    applications = [task.task_id for task in daily.tasks if task.pool == YARN_POOL]
    first = {"conform.ratings", "conform.movies", "analyse.movie_recommender"}
    others = max(weight(task_id) for task_id in applications if task_id not in first)
    assert min(weight(task_id) for task_id in first) > others
