"""The tasks of the daily DAG, one function per kind."""

import os
from typing import Any

from airflow.providers.apache.hdfs.hooks.webhdfs import WebHDFSHook
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import Asset, get_current_context

from millpond.airflow.dates import run_date
from millpond.airflow.defaults import YARN_POOL
from millpond.airflow.failures import as_airflow_failure
from millpond.airflow.operators import YarnSparkOperator
from millpond.airflow.selection import skip_unless_wanted
from millpond.airflow.submission import size_options
from millpond.catalog.analyses import ANALYSES, Analysis
from millpond.catalog.datasets import Dataset, dataset
from millpond.catalog.settings import Settings
from millpond.catalog.sizes import SMALL
from millpond.staging.stage import stage


def stage_task(of: Dataset) -> PythonOperator:
    """`stage.<dataset>`: the source file into the raw zone."""
    return PythonOperator(
        task_id=f"stage.{of.name}", python_callable=_stage, op_kwargs={"name": of.name}
    )


def conform_task(of: Dataset) -> YarnSparkOperator:
    """`conform.<dataset>`: the staged file into clean rows and quarantine."""
    return YarnSparkOperator(
        task_id=f"conform.{of.name}",
        application=_application("conform_dataset"),
        arguments=("--dataset", of.name),
        table=of.clean,
        analyses=_readers(of.name),
        **size_options(SMALL),
        pool=YARN_POOL,
    )


def analyse_task(of: Analysis) -> YarnSparkOperator:
    """`analyse.<analysis>`: clean rows into the mart."""
    settings = Settings.from_env(os.environ)
    return YarnSparkOperator(
        task_id=f"analyse.{of.name}",
        application=_application(of.name),
        table=of.mart,
        analyses=(of.name,),
        parameters=of.parameters,
        **size_options(of.size),
        priority_weight=of.priority,
        pool=YARN_POOL,
        outlets=[Asset(of.name, uri=f"{settings.hdfs_url}{settings.root}/{of.mart.path}")],
    )


def _application(name: str) -> str:
    return str(Settings.from_env(os.environ).apps_dir / f"{name}.py")


def _readers(dataset_name: str) -> tuple[str, ...]:
    return tuple(a.name for a in ANALYSES if dataset_name in a.inputs)


def _stage(name: str) -> None:
    context: Any = get_current_context()
    skip_unless_wanted(context, _readers(name))
    with as_airflow_failure():
        stage(
            dataset(name),
            run_date(context),
            settings=Settings.from_env(os.environ),
            webhdfs=WebHDFSHook().get_conn(),
            restage=bool(context["params"]["restage"]),
        )
