"""Publishing without a JVM, as applications publish: a receipt first, then one commit with it."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from millpond.catalog.partitions import Partition
from millpond.catalog.settings import Settings
from millpond.catalog.tables import Table
from millpond.lake.hdfs import Hdfs
from millpond.lake.receipts import Check, Outcome, Receipt, Receipts, Source
from millpond.lake.tables import StoredTable, arrow_schema


@dataclass
class Publisher:
    """What a task or a command publishes of a date or an hour.

    There is no claim: it publishes what it has just read, and of two at once the one with the
    higher number stays, unless that is made of rows which are no longer there.
    """

    settings: Settings
    partition: Partition
    run_id: str
    code_version: str
    inputs: tuple[Source, ...] = ()
    with_tables: dict[str, int] = field(default_factory=dict)

    def publish(
        self,
        table: Table,
        rows: pa.Table,
        checks: tuple[Check, ...] = (),
        counts: Mapping[str, int] | None = None,
        instead_of: int | None = None,
    ) -> Receipt:
        """Make `rows` the table's rows of the partition, in one commit.

        `counts` go into the receipt's `rows`; `instead_of` is the number of the rows that these
        are made of.

        Raises:
            SupersededError: Another number was published meanwhile; its rows stay.
        """
        receipt = self._create(table, "published", {**(counts or {}), "out": rows.num_rows}, checks)
        hdfs = Hdfs(self.settings.hdfs_url)
        stored = StoredTable.of(self.settings, table)
        place = stored.place(self.partition, receipt.number)
        if rows.num_rows:
            hdfs.create(f"{place}/part-0.parquet", _parquet(table, rows))
        self.with_tables[table.name] = stored.commit(
            self.partition, receipt.number, hdfs.files(place), receipt.sha256(), instead_of
        )
        return receipt

    def refuse(self, table: Table, checks: tuple[Check, ...], counts: Mapping[str, int]) -> Receipt:
        """Leave the partition's rows as they are, with a receipt that says why."""
        return self._create(table, "refused", {**counts, "out": 0}, checks)

    def _create(
        self, table: Table, outcome: Outcome, rows: dict[str, int], checks: tuple[Check, ...]
    ) -> Receipt:
        receipt = Receipt(
            table=table.name,
            ds=str(self.partition),
            number=StoredTable.of(self.settings, table).number(self.partition) + 1,
            outcome=outcome,
            run_id=self.run_id,
            generation="",
            attempt="",
            application_id="",
            inputs=self.inputs,
            rows=rows,
            checks=checks,
            code_version=self.code_version,
            seconds={},
            with_tables=dict(self.with_tables),
            written_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        return Receipts.of(self.settings, table, self.partition).create_next(receipt)


def _parquet(table: Table, rows: pa.Table) -> bytes:
    content = io.BytesIO()
    columns = arrow_schema(table).remove(len(table.columns))  # the partition's is in the log
    pq.write_table(rows.select(columns.names).cast(columns), content)
    return content.getvalue()
