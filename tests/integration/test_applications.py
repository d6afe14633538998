"""Applications on the real HDFS: when they publish, refuse by rule, warn, and stop.

They run in this process, where what they read can be made as it is needed.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hdfs import InsecureClient
from pyspark.sql import SparkSession

from millpond.airflow.outcomes import Outcome
from millpond.catalog.analyses import MIN_TEMPERATURES, MOVIE_RECOMMENDER, RECOMMENDER_METRICS
from millpond.catalog.datasets import MOVIES, RATINGS, TEMPERATURES
from millpond.catalog.tables import Table
from millpond.errors import BadInputError, CheckFailedError
from millpond.lake.receipts import Source
from millpond.lake.tables import StoredTable
from millpond.run import Run
from millpond.spark.job import Job
from millpond.staging.stage import stage
from spark_apps import conform_dataset, min_temperatures, movie_recommender
from tests.integration.local_platform import Platform
from tests.integration.test_publishing import new_attempt


def stored(platform: Platform, table: Table) -> StoredTable:
    return StoredTable(table, platform.settings.hdfs_url, platform.settings.root)


def publish(
    spark: SparkSession,
    platform: Platform,
    ds: date,
    table: Table,
    rows: Sequence[tuple[object, ...]],
) -> None:
    """Rows in the order of the table's columns."""
    schema = ", ".join(f"{column.name} {column.type}" for column in table.columns)
    attempt = new_attempt(spark, platform, ds, "given", table)
    attempt.add_input(Source("given by a test"), rows=len(rows))
    attempt.publish(table, spark.createDataFrame(rows, schema))


@pytest.fixture
def ratings_by_chance(
    spark: SparkSession,
    platform: Platform,
    day: date,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> date:
    """A day on which nobody has a taste: more can be learnt from the movies' means than from it."""
    monkeypatch.setenv("SPARK_YARN_STAGING_DIR", tmp_path.as_uri())
    draw = random.Random(7)
    ratings = [
        (user, movie, float(draw.randint(1, 5)), None, user * 100 + movie)
        for user in range(1, 31)
        for movie in draw.sample(range(1, 41), 15)
    ]
    publish(spark, platform, day, RATINGS.clean, ratings)
    publish(spark, platform, day, MOVIES.clean, [(1, "One (1995)", None)])
    return day


def test_a_model_that_is_worse_than_means_is_refused_and_the_former_rows_stay(
    spark: SparkSession, platform: Platform, ratings_by_chance: date
) -> None:
    ds, mart = ratings_by_chance, MOVIE_RECOMMENDER.mart
    publish(spark, platform, ds, mart, [(1, 1, 1, "One (1995)", 4.5)])
    former = stored(platform, mart).read(ds)
    job = new_attempt(spark, platform, ds, "by-chance", mart)
    movie_recommender.main(job)
    assert stored(platform, mart).read(ds) == former
    [metrics] = stored(platform, RECOMMENDER_METRICS).read(ds).to_pylist()
    assert metrics["gate"] == "refused"
    assert metrics["rmse"] >= metrics["rmse_item_mean"]

    outcome = Outcome(platform.settings, mart, job.run).receipt()
    assert outcome is not None
    assert outcome.outcome == "refused"
    assert outcome.with_tables.keys() == {RECOMMENDER_METRICS.name}
    [gate] = outcome.checks
    assert not gate.passed
    assert (gate.figure, gate.maximum) == (metrics["rmse"], metrics["rmse_item_mean"])
    # Another generation has not refused, and computes anew.
    other = replace(job.run, generation="other")
    assert Outcome(platform.settings, mart, other).receipt() is None


def test_a_file_that_shrank_is_published_with_a_warning(
    spark: SparkSession, platform: Platform, days: Iterator[date], tmp_path: Path
) -> None:
    yesterday, today = next(days), next(days)
    for ds, lines in ((yesterday, 1000), (today, 100)):
        folder = tmp_path / "ratings" / f"ds={ds}"
        folder.mkdir(parents=True)
        (folder / "u.data").write_text("".join(f"{n}\t1\t3\t0\n" for n in range(1, lines + 1)))
        port = platform.settings.port("namenode-http")
        stage(
            RATINGS,
            ds,
            settings=replace(platform.settings, data_dir=str(tmp_path)),
            webhdfs=InsecureClient(f"http://127.0.0.1:{port}", user="root"),
            restage=False,
        )
        job = new_attempt(spark, platform, ds, "g", RATINGS.clean)
        conform_dataset.main(job, RATINGS)
    receipt = Outcome(platform.settings, RATINGS.clean, job.run).receipt()
    assert receipt is not None
    assert receipt.outcome == "published"
    failed = [check for check in receipt.checks if not check.passed]
    assert [(check.severity, str(check)) for check in failed] == [
        ("warn", "share_of_earlier_lines is 0.1, which must be at least 0.5")
    ]


def test_no_rows_are_no_result(spark: SparkSession, platform: Platform, day: date) -> None:
    maximum = ("XME00100117", date(1800, 1, 1), "TMAX", 62, None, None, "E")
    publish(spark, platform, day, TEMPERATURES.clean, [maximum])
    with pytest.raises(CheckFailedError) as raised:
        min_temperatures.main(new_attempt(spark, platform, day, "g", MIN_TEMPERATURES.mart))
    assert str(raised.value).startswith(
        "min_temperatures was not published, its former rows stay: rows is 0, which must be at "
        "least 1; "
    )
    assert stored(platform, MIN_TEMPERATURES.mart).number(day) == 0


def test_a_parameter_that_does_not_exist_stops_before_anything_is_read(
    spark: SparkSession, platform: Platform, day: date
) -> None:
    run = Run(day, "g", 1, "r", platform.settings.root, settings=(("rank", "3"),))
    with pytest.raises(BadInputError, match="movie_recommender has no parameter 'rank'; it has"):
        movie_recommender.main(Job(spark, run, MOVIE_RECOMMENDER.mart, 0.0))
