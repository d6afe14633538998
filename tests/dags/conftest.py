"""DAGs as Airflow parses them, without a running Airflow.

Airflow reads its configuration when it is imported, so the environment is set here, first: a folder
of its own, no example DAGs, and paths that are the same on every machine.
"""

import importlib
import json
import os
import tempfile
from pathlib import Path

import pytest

AIRFLOW_HOME = tempfile.TemporaryDirectory(prefix="millpond-dags-")
os.environ.update(
    {
        "AIRFLOW_HOME": AIRFLOW_HOME.name,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps(
            {
                "conn_type": "spark",
                "host": "yarn",
                "extra": {"deploy-mode": "cluster", "queue": "default"},
            }
        ),
        "MILLPOND_APPS_DIR": "/opt/millpond/spark_apps",
        "MILLPOND_HDFS_URL": "hdfs://nameservice1",
    }
)

from airflow.sdk import DAG  # noqa: E402  after the environment

from millpond.catalog.settings import PROJECT_DIR  # noqa: E402

DAG_FILES = sorted((PROJECT_DIR / "dags").glob("*.py"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--golden-refresh", action="store_true", help="rewrite the golden spark-submit commands"
    )


def dags_of(file: Path) -> list[DAG]:
    """The DAGs a file declares; an error while it is parsed fails the test with its own words."""
    module = importlib.import_module(f"dags.{file.stem}")
    return [value for value in vars(module).values() if isinstance(value, DAG)]


def all_dags() -> list[DAG]:
    """Every DAG of the project."""
    return [dag for file in DAG_FILES for dag in dags_of(file)]
