"""A job: what an application reads, and how its result becomes a table's rows of a date or hour.

An application is `execute(main, TABLE)`. Its process ends with 0 when it published (or refused to,
by rule), 10 on bad input, 11 on a failed check, 12 when a newer attempt has taken over; anything
else is a fault. Whatever the failure, its cause is left beside the receipts for the operator that
waits.
"""

import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from millpond.catalog.datasets import dataset
from millpond.catalog.partitions import Partition
from millpond.catalog.tables import Table
from millpond.crash import crash_point
from millpond.errors import BadInputError, MillpondError, SupersededError
from millpond.lake.exports import bring_up_to_date
from millpond.lake.hdfs import Hdfs
from millpond.lake.receipts import Check, Outcome, Receipt, Receipts, Source
from millpond.lake.tables import StoredTable
from millpond.run import Run, code_version
from millpond.spark.checks import conform_schema, measure, stop_on_errors

log = logging.getLogger(__name__)

FAULT = 1  # the exit code of trouble that another attempt may not meet


class Job:
    """One attempt to publish `table`, and tables that go with it, for the run's date."""

    def __init__(self, spark: SparkSession, run: Run, table: Table, started: float) -> None:
        self.spark = spark
        self.run = run
        self.table = table
        self.hdfs_url = _default_filesystem(spark)
        self.hdfs = Hdfs(self.hdfs_url)
        # Delta's type; Spark's own default is one that other readers have given up.
        spark.conf.set("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS")
        self._inputs: list[Source] = []
        self._rows_in = 0
        self._with_tables: dict[str, int] = {}
        self._with_files: list[str] = []
        self._seconds = {"session": time.monotonic() - started}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time spent inside as that phase's seconds in the receipt."""
        started = time.monotonic()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + time.monotonic() - started

    def read_clean(self, name: str) -> DataFrame:
        """The clean rows of a dataset for the run's date, without `ds`, at the current version.

        Raises:
            BadInputError: The date has never been conformed.
        """
        stored = self._stored(dataset(name).clean)
        with self.phase("open"):
            opened = stored.open()
            number = opened.transaction_version(f"{stored.table.name}/{self.run.ds}")
        if not number:
            raise BadInputError(
                f"{stored.table.name} has no {self.run.ds}; run conform.{name} for that date first"
            )
        receipt = self.receipts(stored.table).read(number)
        self.add_input(
            Source(
                path=f"{self.run.root}/{stored.table.path}",
                version=opened.version(),
                number=number,
            ),
            rows=receipt.rows["out"] if receipt else 0,
        )
        return self._read(stored, opened)

    def _read(self, stored: StoredTable, opened: DeltaTable) -> DataFrame:
        # The files that the log names: Delta's own reader runs Spark jobs to find these few.
        columns = ", ".join(f"{column.name} {column.type}" for column in stored.table.columns)
        if files := stored.files(opened, self.run.partition):
            return self.spark.read.schema(columns).parquet(*files)
        return self.spark.createDataFrame([], columns)

    def add_input(self, source: Source, rows: int) -> None:
        """Record something that was read, and how many rows came of it."""
        self._inputs.append(source)
        self._rows_in += rows

    def add_file(self, path: str) -> None:
        """Record something that was saved beside the tables."""
        self._with_files.append(path)

    def earlier(self, table: Table) -> Receipt | None:
        """The receipt of the last date or hour before the run's that a table has rows of."""
        stored = self._stored(table)
        before = [p for p in stored.partitions() if str(p) < str(self.run.partition)]
        if not before:
            return None
        return self._receipts_of(table, before[-1]).read(stored.number(before[-1]))

    def publish(
        self, table: Table, rows: DataFrame, *, checks: Sequence[Check] = (), **counts: int
    ) -> Receipt:
        """Check the rows and make them the table's rows of the run's date or hour, in one commit.

        A reader sees the old rows or the new ones, whole; others are not touched. `checks` are
        the application's own, beside the table's expectations; `counts` go into the receipt's
        `rows`.

        Raises:
            CheckFailedError: Nothing was published.
            SupersededError: A newer attempt owns the date; nothing was published.
        """
        with self.phase("compute"):
            kept = conform_schema(table, rows).persist()
            rows_out, expected = measure(table, kept, self._rows_in)
        all_checks = (*expected, *checks)
        stop_on_errors(table, all_checks)
        _say_warnings(all_checks)
        counted = {"in": self._rows_in, **counts, "out": rows_out}
        receipt = self._create_receipt(table, "published", counted, all_checks)
        crash_point("receipt-written")
        with self.phase("publish"):
            self._with_tables[table.name] = self._commit(self._stored(table), kept, receipt)
            crash_point("committed")
            kept.unpersist()
            if table.export:
                bring_up_to_date(self.hdfs, self.run.root, self._stored(table), self.run.partition)
        log.info("published %s %s as number %d", table.name, self.run.partition, receipt.number)
        return receipt

    def refuse(self, table: Table, gate: Check) -> Receipt:
        """Leave the date's rows as they are, by rule, with a receipt that says why.

        Raises:
            SupersededError: A newer attempt owns the date.
        """
        self._stop_if_superseded()
        _say_warnings([gate])
        return self._create_receipt(table, "refused", {"in": self._rows_in, "out": 0}, (gate,))

    def _create_receipt(
        self, table: Table, outcome: Outcome, rows: dict[str, int], checks: tuple[Check, ...]
    ) -> Receipt:
        """Write the receipt under the first free number above the table's current one."""
        number = self._stored(table).number(self.run.partition) + 1
        receipt = self._receipt(table, number, outcome, rows, checks)
        return self.receipts(table).create_next(receipt)

    def _receipt(
        self,
        table: Table,
        number: int,
        outcome: Outcome,
        rows: dict[str, int],
        checks: tuple[Check, ...],
    ) -> Receipt:
        return Receipt(
            table=table.name,
            ds=str(self.run.partition),
            number=number,
            outcome=outcome,
            run_id=self.run.run_id,
            generation=self.run.generation,
            attempt=str(self.run.attempt),
            application_id=self.spark.sparkContext.applicationId,
            inputs=tuple(self._inputs),
            rows=rows,
            checks=checks,
            code_version=code_version(Path(sys.argv[0])),
            seconds={name: round(value, 3) for name, value in self._seconds.items()},
            with_tables=dict(self._with_tables),
            written_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            with_files=tuple(self._with_files),
            settings=dict(self.run.settings),
        )

    def _commit(self, stored: StoredTable, rows: DataFrame, receipt: Receipt) -> int:
        """Write the rows as files that nobody reads yet; the version whose commit names them."""
        place = stored.place(self.run.partition, receipt.number)
        if receipt.rows["out"]:
            rows.write.parquet(f"{self.hdfs_url}{place}")
        crash_point("rows-written")
        self._stop_if_superseded()
        files = self.hdfs.files(place)
        return stored.commit(self.run.partition, receipt.number, files, receipt.sha256())

    def _stop_if_superseded(self) -> None:
        claimant = self.receipts(self.table).claimant()
        if claimant != self.run.name:
            raise SupersededError(
                f"attempt {self.run.name} may not publish {self.table.name} {self.run.partition}: "
                f"it is claimed by {claimant or 'nobody'}; the newest run for it says what became "
                "of it"
            )

    def _stored(self, table: Table) -> StoredTable:
        return StoredTable(table, self.hdfs_url, self.run.root)

    def receipts(self, table: Table) -> Receipts:
        """The receipts of a table for the run's date or hour."""
        return self._receipts_of(table, self.run.partition)

    def _receipts_of(self, table: Table, partition: Partition) -> Receipts:
        return Receipts(self.hdfs, self.run.root, table.name, partition)


def _say_warnings(checks: Iterable[Check]) -> None:
    for check in checks:
        if not check.passed:
            log.warning("%s", check)


def execute(table: Table, main: Callable[[Job], None], arguments: Sequence[str]) -> NoReturn:
    """Run an application's `main` and end the process as its contract says."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    started = time.monotonic()
    run = Run.parse(arguments)
    # A date or an hour has one meaning on every cluster.
    spark = SparkSession.builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    job = Job(spark, run, table, started)
    sys.exit(attempt(job, main))


def attempt(job: Job, main: Callable[[Job], None]) -> int:
    """Run `main`, leave the cause of a failure beside the receipts, return the exit code."""
    try:
        main(job)
    except MillpondError as error:
        log.error("%s", error)  # noqa: TRY400  a sentence for a person needs no traceback
        _report(job, str(error), error.exit_code)
        return error.exit_code
    except Exception as error:  # whatever it is, whoever waits must learn the cause
        log.exception("the application failed")
        _report(job, first_cause(error), FAULT)
        return FAULT
    return 0


def _report(job: Job, cause: str, exit_code: int) -> None:
    report = {
        "cause": cause,
        "exit_code": exit_code,
        "application_id": job.spark.sparkContext.applicationId,
        "run_id": job.run.run_id,
    }
    try:
        job.receipts(job.table).report_failure(job.run.generation, str(job.run.attempt), report)
    except MillpondError as error:  # HDFS may be the very cause; the log has it all the same
        log.error("could not leave the cause beside the receipts: %s", error)  # noqa: TRY400


def first_cause(error: Exception) -> str:
    """The first line of the innermost cause: for a person, the stack above it is noise."""
    causes = re.findall(r"^Caused by: (.+)$", str(error), flags=re.MULTILINE)
    return causes[-1] if causes else (str(error).strip().splitlines() or [repr(error)])[0]


def _default_filesystem(spark: SparkSession) -> str:
    """The URL of the HDFS this cluster works on: its configuration's fs.defaultFS."""
    context = spark.sparkContext
    assert context._jsc is not None  # noqa: SLF001  PySpark has no public way to Hadoop's configuration
    url: str = context._jsc.hadoopConfiguration().get("fs.defaultFS")  # noqa: SLF001
    return url.rstrip("/")
