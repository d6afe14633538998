"""What it costs to read the DAG files, which Airflow does all the time, and again for each task."""

import json
import subprocess
import sys

from tests.dags.conftest import DAG_FILES

READ = """
import json, runpy, sys, time
import airflow.sdk
import airflow.providers.apache.hdfs.hooks.webhdfs
import airflow.providers.apache.spark.operators.spark_submit
before = time.process_time()
for file in sys.argv[1:]:
    runpy.run_path(file)
print(json.dumps([before, time.process_time() - before, sorted(sys.modules)]))
"""
# Of an application or of a person at a notebook; each takes longer than all our files.
SLOW = {"matplotlib", "mlflow", "pandas", "py4j", "pyspark", "scipy", "sklearn", "torch"}


def test_reading_the_dag_files_takes_less_than_airflow_itself_and_nothing_slow() -> None:
    command = [sys.executable, "-c", READ, *map(str, DAG_FILES)]
    read = subprocess.run(command, check=True, capture_output=True, text=True)
    airflow_seconds, our_seconds, modules = json.loads(read.stdout.splitlines()[-1])
    assert SLOW.intersection(modules) == set()
    # Of processor time, 0.25 s beside 1.2 s: on a slow machine both are more.
    assert our_seconds < airflow_seconds
