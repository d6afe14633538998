"""Publishing on the real HDFS: whole or not at all, whoever else writes or reads."""

import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from millpond.airflow.outcomes import Outcome
from millpond.catalog import zones
from millpond.catalog.analyses import RATING_HISTOGRAM
from millpond.catalog.tables import Table
from millpond.errors import CheckFailedError, SupersededError
from millpond.lake.exports import bring_up_to_date
from millpond.lake.receipts import Receipts
from millpond.lake.tables import StoredTable
from millpond.run import Run
from millpond.spark import job
from millpond.spark.job import Job
from tests.integration.local_platform import Platform
from tests.waiting import until

MART = RATING_HISTOGRAM.mart
VALUES = [halves / 2 for halves in range(1, 11)]


@pytest.fixture
def stored(platform: Platform) -> StoredTable:
    return StoredTable(MART, platform.settings.hdfs_url, platform.settings.root)


def all_values_counted(spark: SparkSession, count: int) -> DataFrame:
    """A histogram in which each value has the same count, which marks it as one set."""
    return spark.createDataFrame(
        [(value, count) for value in VALUES], "rating double, ratings bigint"
    )


def new_attempt(
    spark: SparkSession, platform: Platform, ds: date, generation: str, table: Table = MART
) -> Job:
    """A job that has the claim, as an operator would give it."""
    run = Run(ds, generation, 1, f"test-{generation}", platform.settings.root)
    receipts(platform, ds, table).claim(run.name)
    return Job(spark, run, table, time.monotonic())


def receipts(platform: Platform, ds: date, table: Table = MART) -> Receipts:
    return Receipts(platform.hdfs, platform.settings.root, table.name, ds)


def counts(stored: StoredTable, ds: date) -> list[int]:
    found: list[int] = stored.read(ds).column("ratings").to_pylist()
    return found


def test_a_reader_sees_whole_sets_through_ten_republications(
    spark: SparkSession, platform: Platform, stored: StoredTable, day: date
) -> None:
    new_attempt(spark, platform, day, "first").publish(MART, all_values_counted(spark, 1))
    finished = threading.Event()
    seen: list[tuple[int, ...]] = []

    def poll() -> None:
        while not finished.is_set():
            seen.append(tuple(counts(stored, day)))

    with ThreadPoolExecutor(1) as pool:
        polling = pool.submit(poll)
        try:
            for number in range(2, 12):
                job = new_attempt(spark, platform, day, f"again-{number}")
                job.publish(MART, all_values_counted(spark, number))
                until(lambda: set(seen[-1:]) == {(number,) * len(VALUES)})  # noqa: B023  at once
        finally:
            finished.set()
        polling.result()

    assert set(seen) <= {(number,) * len(VALUES) for number in range(1, 12)}
    assert stored.number(day) == 11


def test_two_dates_at_once_are_both_published(
    spark: SparkSession, platform: Platform, stored: StoredTable, days: Iterator[date]
) -> None:
    chosen = [next(days), next(days)]
    jobs = [new_attempt(spark, platform, ds, "g") for ds in chosen]
    with ThreadPoolExecutor(2) as pool:
        list(
            pool.map(lambda job: job.publish(MART, all_values_counted(spark, job.run.ds.day)), jobs)
        )
    assert [counts(stored, ds) for ds in chosen] == [[ds.day] * len(VALUES) for ds in chosen]


def test_of_two_attempts_at_one_date_the_one_with_the_claim_publishes(
    spark: SparkSession, platform: Platform, stored: StoredTable, day: date
) -> None:
    earlier = new_attempt(spark, platform, day, "earlier")
    later = new_attempt(spark, platform, day, "later")
    with pytest.raises(SupersededError, match=r"earlier-1 may not publish .* claimed by later-1"):
        earlier.publish(MART, all_values_counted(spark, 1))
    later.publish(MART, all_values_counted(spark, 2))
    assert counts(stored, day) == [2] * len(VALUES)


def test_an_attempt_overtaken_after_it_looked_at_the_claim_changes_nothing(
    spark: SparkSession, platform: Platform, stored: StoredTable, day: date
) -> None:
    class Overtaken(Job):
        """The moment between a look at the claim and the commit, made as long as another run."""

        def _stop_if_superseded(self) -> None:
            super()._stop_if_superseded()
            other = new_attempt(spark, platform, day, "other")
            other.publish(MART, all_values_counted(spark, 2))

    run = new_attempt(spark, platform, day, "slow").run
    with pytest.raises(
        SupersededError, match=r"number 1 .* came after number 2 of another attempt"
    ):
        Overtaken(spark, run, MART, time.monotonic()).publish(MART, all_values_counted(spark, 1))
    assert counts(stored, day) == [2] * len(VALUES)
    assert stored.number(day) == 2


def test_commits_at_once_all_take_place_and_of_one_number_one_does(
    platform: Platform, days: Iterator[date]
) -> None:
    """Without Spark, so that they meet at the same version of the table much more often."""
    stored = StoredTable(MART, platform.settings.hdfs_url, f"/test/{uuid.uuid4()}")
    stored.create()
    chosen = [next(days) for _ in range(6)]
    before = stored.version()
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda ds: stored.commit(ds, 1, [], f"receipt of {ds}"), chosen * 2))
    # A number is one attempt's: who finds it there takes it for its own commit.
    assert stored.version() == before + len(chosen)
    assert [stored.number(ds) for ds in chosen] == [1] * len(chosen)


def test_a_number_that_has_been_passed_is_refused(stored: StoredTable, day: date) -> None:
    stored.commit(day, 2, [], "later")
    with pytest.raises(SupersededError, match="number 1 .* came after number 2"):
        stored.commit(day, 1, [], "earlier")
    assert stored.number(day) == 2


def test_rows_made_of_others_never_take_the_place_of_what_came_since(
    stored: StoredTable, day: date
) -> None:
    stored.commit(day, 1, [], "first")
    stored.commit(day, 2, [], "made of the first", instead_of=1)
    with pytest.raises(SupersededError, match="number 3 .* came after number 2"):
        stored.commit(day, 3, [], "made of the first as well", instead_of=1)
    assert stored.number(day) == 2


def test_rows_that_break_a_check_leave_the_former_rows(
    spark: SparkSession, platform: Platform, stored: StoredTable, day: date
) -> None:
    new_attempt(spark, platform, day, "good").publish(MART, all_values_counted(spark, 1))
    with pytest.raises(CheckFailedError) as raised:
        new_attempt(spark, platform, day, "bad").publish(MART, all_values_counted(spark, 0))
    assert "smallest_count is 0, which must be at least 1" in str(raised.value)
    nothing = all_values_counted(spark, 1).limit(0)
    with pytest.raises(CheckFailedError, match="rows is 0, which must be at least 1"):
        new_attempt(spark, platform, day, "none").publish(MART, nothing)
    assert counts(stored, day) == [1] * len(VALUES)


def test_the_commit_carries_its_receipt(
    spark: SparkSession, platform: Platform, stored: StoredTable, day: date
) -> None:
    written = new_attempt(spark, platform, day, "g").publish(MART, all_values_counted(spark, 7))
    assert receipts(platform, day).read(stored.number(day)) == written
    # Others commit to the table as well.
    hashes = [commit.get("userMetadata") for commit in stored.open().history()]
    assert hashes.count(written.sha256()) == 1
    assert written.rows == {"in": 0, "out": len(VALUES)}
    smallest = next(check for check in written.checks if check.name == "smallest_count")
    assert (smallest.figure, smallest.passed) == (7.0, True)


def test_a_generation_whose_rows_were_replaced_since_has_published_still(
    spark: SparkSession, platform: Platform, day: date
) -> None:
    earlier = new_attempt(spark, platform, day, "earlier")
    published = earlier.publish(MART, all_values_counted(spark, 1))
    left = Outcome(platform.settings, MART, earlier.run)
    assert left.receipt() == published
    # Written, and its writer died before the commit: that is no publication.
    unfinished = new_attempt(spark, platform, day, "unfinished")
    receipts(platform, day).create(replace(published, number=2, generation="unfinished"))
    new_attempt(spark, platform, day, "later").publish(MART, all_values_counted(spark, 2))
    assert left.receipt() == published
    assert Outcome(platform.settings, MART, unfinished.run).receipt() is None


def test_the_export_is_the_table_as_a_file(
    spark: SparkSession, platform: Platform, day: date
) -> None:
    new_attempt(spark, platform, day, "g").publish(MART, all_values_counted(spark, 3))
    exported = platform.hdfs.read(zones.export(platform.settings.root, MART.name, day))
    assert exported is not None
    lines = [f"{value},3,{day}" for value in VALUES]
    assert exported.decode() == "\n".join(["rating,ratings,ds", *lines]) + "\n"


def test_an_export_that_a_killed_application_left_behind_is_brought_up_to_date(
    spark: SparkSession, platform: Platform, stored: StoredTable, day: date
) -> None:
    root = platform.settings.root
    new_attempt(spark, platform, day, "first").publish(MART, all_values_counted(spark, 1))
    with pytest.MonkeyPatch.context() as killed_before_its_export:
        killed_before_its_export.setattr(job, "bring_up_to_date", lambda *_: None)
        new_attempt(spark, platform, day, "second").publish(MART, all_values_counted(spark, 2))
    path = zones.export(root, MART.name, day)
    assert f"0.5,1,{day}" in str(platform.hdfs.read(path))
    bring_up_to_date(platform.hdfs, root, stored, day)
    assert f"0.5,2,{day}" in str(platform.hdfs.read(path))


WRITER = """
import sys, time
from datetime import date
from pyspark.sql import SparkSession
from millpond.catalog.analyses import RATING_HISTOGRAM
from millpond.run import Run
from millpond.spark import job
from millpond.spark.job import Job

spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
rows = spark.range(1, 11).selectExpr("id / 2.0D AS rating", "9L AS ratings")
run = Run(date.fromisoformat(sys.argv[1]), "killed", 1, "r", sys.argv[2])
Job(spark, run, RATING_HISTOGRAM.mart, time.monotonic()).publish(RATING_HISTOGRAM.mart, rows)
"""


def test_a_writer_killed_midway_leaves_a_whole_set_and_the_next_one_works(
    spark: SparkSession, platform: Platform, stored: StoredTable, day: date, tmp_path: Path
) -> None:
    new_attempt(spark, platform, day, "first").publish(MART, all_values_counted(spark, 1))
    receipts(platform, day).claim("killed-1")
    writer = tmp_path / "writer.py"
    writer.write_text(WRITER)
    # The session's environment: the fixture has set what Spark needs.
    process = subprocess.Popen([sys.executable, writer, str(day), platform.settings.root])
    folder = zones.receipts(platform.settings.root, MART.name, day)
    # Between here and the commit is where the write takes place.
    until(lambda: "2.json" in platform.hdfs.names(folder), pause=0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()

    assert counts(stored, day) in ([1] * len(VALUES), [9] * len(VALUES))
    new_attempt(spark, platform, day, "second").publish(MART, all_values_counted(spark, 2))
    assert counts(stored, day) == [2] * len(VALUES)
    assert stored.number(day) == 3
