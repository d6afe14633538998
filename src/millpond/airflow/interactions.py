"""The tasks of the hourly DAG, one function per kind."""

import os
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import Asset, TriggerRule, get_current_context
from airflow.sdk.exceptions import AirflowFailException
from pendulum import datetime

from millpond.airflow.customer_service import customer_service_endpoint
from millpond.airflow.dates import run_hour
from millpond.airflow.defaults import SERVICE_POOL, YARN_POOL
from millpond.airflow.failures import as_airflow_failure
from millpond.airflow.operators import YarnSparkOperator
from millpond.airflow.submission import size_options
from millpond.catalog.interactions import COUNTS, Contract, Keys
from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.catalog.sizes import COUNT
from millpond.interactions.apply import apply_hour
from millpond.interactions.ledger import Ledger
from millpond.interactions.post import Poster, seconds_to_post
from millpond.interactions.reconcile import reconcile
from millpond.interactions.resolve import asking, resolve_hour
from millpond.interactions.seal import seal
from millpond.interactions.service import CustomerService


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
        **size_options(COUNT),
        pool=YARN_POOL,
        outlets=[Asset(COUNTS.name, uri=f"{settings.hdfs_url}{settings.root}/{COUNTS.path}")],
    )


def resolve_task() -> PythonOperator:
    """`resolve`: which customers the persons are that came without an id."""
    return PythonOperator(task_id="resolve", python_callable=_resolve)


def apply_task() -> PythonOperator:
    """`apply`: the hour becomes part of the customers' totals."""
    return PythonOperator(task_id="apply", python_callable=_run, op_args=[apply_hour])


def post_task() -> PythonOperator:
    """`post`: the customer service is told each total that it has not confirmed."""
    return PythonOperator(task_id="post", python_callable=_post, pool=SERVICE_POOL)


def reconcile_task() -> PythonOperator:
    """`reconcile`: what was read, counted, contributed, added up and sent agrees.

    It looks at the hour whatever became of the task before, and fails if that one did.
    """
    return PythonOperator(
        task_id="reconcile", python_callable=_reconcile, trigger_rule=TriggerRule.ALL_DONE
    )


def _seal() -> None:
    accept_loss = bool(_context()["params"]["accept_loss"])
    _run(partial(seal, accept_loss=accept_loss))


def _resolve() -> None:
    def ask_and_store(settings: Settings, hour: Hour) -> None:
        resolve_hour(settings, hour, asking(_customer_service(settings)))

    _run(ask_and_store)


def _post() -> dict[str, int]:
    """Whatever is due, of this hour or an earlier one; how many requests had which outcome."""
    summary: Counter[str] = Counter()

    def post(settings: Settings, _: Hour) -> None:
        service = _customer_service(settings)
        summary.update(Poster(Ledger(settings.ledger_url), service, seconds_to_post()).run())

    _run(post)
    return dict(summary)


def _customer_service(settings: Settings) -> CustomerService:
    contract = Contract.parse(settings.service_paths, settings.service_keys)
    return CustomerService(customer_service_endpoint, contract)


def _reconcile() -> None:
    context = _context()
    _run(partial(reconcile, run_id=context["run_id"]))
    task, run = context["ti"], context["run_id"]
    before = list(context["task"].upstream_task_ids)
    states = task.get_task_states(dag_id=task.dag_id, task_ids=before, run_ids=[run])[run]
    if failed := [f"{name} is {states[name]}" for name in before if states[name] != "success"]:
        raise AirflowFailException(f"{', '.join(failed)}; its log says why, clear it to go on")


def _run(act: Callable[[Settings, Hour], object]) -> None:
    """Do something for the run's hour."""
    with as_airflow_failure():
        act(Settings.from_env(os.environ), run_hour(_context()))


def _context() -> Any:
    return get_current_context()
