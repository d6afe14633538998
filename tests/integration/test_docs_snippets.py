"""The programs on the documents' pages do what the pages say."""

import subprocess
import sys
from datetime import date

import pytest
from pyspark.sql import DataFrame, SparkSession

from millpond.catalog.analyses import MIN_TEMPERATURES
from millpond.catalog.datasets import RATINGS
from millpond.catalog.settings import PROJECT_DIR
from millpond.cluster.config import spark_environment
from millpond.lake.tables import StoredTable
from spark_apps.rating_histogram import count_by_value
from tests.integration.local_platform import Platform
from tests.integration.test_publishing import MART, VALUES, all_values_counted, new_attempt

# After every day that another test publishes.
LAST = date(2999, 12, 31)
SNIPPETS = PROJECT_DIR / "docs" / "how-to" / "snippets"


@pytest.fixture
def stored(spark: SparkSession, platform: Platform, day: date) -> StoredTable:
    """The mart, with each value counted three times on a day."""
    new_attempt(spark, platform, day, "docs").publish(MART, all_values_counted(spark, 3))
    return StoredTable(MART, platform.settings.hdfs_url, platform.settings.root)


def command(program: str, *arguments: str) -> list[str]:
    return [sys.executable, str(SNIPPETS / program), *arguments]


def printed(program: str, environ: dict[str, str], *arguments: str) -> list[str]:
    done = subprocess.run(
        command(program, *arguments),
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def on_hdfs(platform: Platform) -> dict[str, str]:
    return {**platform.environ, "MILLPOND_HDFS_URL": platform.settings.hdfs_url}


def test_python_reads_the_latest_day(
    spark: SparkSession, platform: Platform, stored: StoredTable
) -> None:
    new_attempt(spark, platform, LAST, "latest").publish(MART, all_values_counted(spark, 5))
    assert printed("read_with_python.py", on_hdfs(platform)) == [
        f"{LAST} {value} 5" for value in VALUES
    ]


def test_python_reads_decimals_and_dates(
    spark: SparkSession, platform: Platform, day: date
) -> None:
    minima = spark.sql(
        "SELECT 'north' AS station, CAST(-12.5 AS DECIMAL(5, 1)) AS min_celsius,"
        " CAST(9.5 AS DECIMAL(6, 2)) AS min_fahrenheit, DATE '1800-02-28' AS observed_on"
    )
    new_attempt(spark, platform, day, "exact").publish(MIN_TEMPERATURES.mart, minima)
    lines = printed("read_exact_values.py", on_hdfs(platform), str(day))
    assert lines == ["north -12.5 9.5 28 February 1800"]


def test_python_reads_what_a_mart_was_computed_from(
    spark: SparkSession, platform: Platform, day: date
) -> None:
    job = new_attempt(spark, platform, day, "moment")
    job.publish(RATINGS.clean, rated(spark, 1, 2, 3))
    [source] = job.publish(MART, count_by_value(job.read_clean("ratings"))).inputs
    new_attempt(spark, platform, day, "later").publish(RATINGS.clean, rated(spark, 4))
    arguments = ("rating_histogram", str(day))
    assert printed("read_as_of_one_moment.py", on_hdfs(platform), *arguments) == [
        "rating_histogram number 1 rows 1",
        f"/millpond/clean/ratings version {source.version} rows 3",
    ]


def rated(spark: SparkSession, *users: int) -> DataFrame:
    """Each user's one rating of one movie, four stars."""
    return spark.createDataFrame([(user,) for user in users], "user_id int").selectExpr(
        "user_id",
        "1 AS movie_id",
        "4.0D AS rating",
        "TIMESTAMP '2026-01-01 10:00:00' AS rated_at",
        "CAST(user_id AS BIGINT) AS line_number",
    )


@pytest.mark.parametrize("program", ["read_with_duckdb.py", "read_with_spark.py"])
def test_a_query_counts_per_day(
    platform: Platform, stored: StoredTable, day: date, program: str
) -> None:
    before = stored.partitions()
    lines = printed(program, {**on_hdfs(platform), **spark_environment(platform.settings)})
    found = [date.fromisoformat(line.split()[0]) for line in lines]
    assert found == sorted(set(found))
    # Others may have published a day meanwhile.
    assert set(before) <= set(found) <= set(stored.partitions())
    assert f"{day} {3 * len(VALUES)}" in lines


def test_a_run_is_created_watched_and_ended_over_rest(platform: Platform, day: date) -> None:
    environ = {
        **platform.environ,
        "MILLPOND_AIRFLOW_URL": platform.settings.airflow_url,
        "MILLPOND_AIRFLOW_PASSWORDS": str(platform.settings.airflow_passwords),
    }
    watching = subprocess.Popen(
        command("run_over_rest.py", str(day)), env=environ, stdout=subprocess.PIPE, text=True
    )
    assert watching.stdout is not None
    with watching, watching.stdout as lines:
        run_id, *_ = next(lines).split()
        # The day has no source file: until its retries are used up, the run goes on.
        subprocess.run(
            command("run_over_rest.py", "end", run_id), env=environ, check=True, timeout=60
        )
        *_, last = lines
    assert last.startswith(f"{run_id} failed ")
    assert watching.returncode == 0
