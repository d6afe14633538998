"""Delta tables on HDFS: created, opened and read in seconds, without a JVM."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from deltalake.transaction import AddAction, CommitProperties, RemoveAction, Transaction

from millpond.catalog.analyses import all_tables
from millpond.catalog.partitions import Partition, folder
from millpond.catalog.settings import Settings
from millpond.catalog.tables import Column, Table
from millpond.errors import MillpondError, NotPublishedError, SupersededError
from millpond.lake.hdfs import File

if TYPE_CHECKING:
    from collections.abc import Iterable

# Old versions are kept for 90 days, which is how far a restore reaches; the log outlives them.
PROPERTIES = {
    "delta.deletedFileRetentionDuration": "interval 90 days",
    "delta.logRetentionDuration": "interval 120 days",
}

ARROW_TYPES = {
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "string": pa.string(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "array<string>": pa.list_(pa.field("element", pa.string())),  # Parquet's name for an item
}


def arrow_type(column: Column) -> pa.DataType:
    """Arrow's type of a catalogue type."""
    if money := re.fullmatch(r"decimal\((\d+),(\d+)\)", column.type):
        return pa.decimal128(int(money[1]), int(money[2]))
    return ARROW_TYPES[column.type]


def arrow_schema(table: Table) -> pa.Schema:
    """The schema a table has in its files, the partition column last."""
    return pa.schema([(column.name, arrow_type(column)) for column in table.all_columns()])


@dataclass(frozen=True)
class Publication:
    """A commit that published a partition; `receipt_sha256` is its receipt's hash."""

    partition: Partition
    version: int
    at: datetime
    receipt_sha256: str


class StoredTable:
    """A catalogue table as it lies on HDFS."""

    def __init__(self, table: Table, hdfs_url: str, root: str) -> None:
        self.table = table
        self._path = f"{root}/{table.path}"
        self.url = f"{hdfs_url}{self._path}"

    @classmethod
    def of(cls, settings: Settings, table: Table) -> "StoredTable":
        """The table on the HDFS, and below the root, that the settings name."""
        return cls(table, settings.hdfs_url, settings.root)

    def create(self) -> None:
        """Create the table empty, unless it exists.

        Raises:
            MillpondError: It exists with other columns.
        """
        DeltaTable.create(
            self.url,
            schema=arrow_schema(self.table),
            mode="ignore",
            partition_by=[self.table.partition.name],
            configuration=PROPERTIES,
        )
        stored = {(field.name, str(field.type)) for field in self._arrow_fields()}
        declared = {(field.name, str(field.type)) for field in arrow_schema(self.table)}
        if stored != declared:
            raise MillpondError(
                f"table {self.table.name} at {self.url} has columns {sorted(stored - declared)} "
                f"where the catalogue has {sorted(declared - stored)}; move the folder away"
            )

    def open(self, version: int | None = None) -> DeltaTable:
        """The table at a version, the latest by default.

        Raises:
            NotPublishedError: There is no such table, or no such version.
            MillpondError: HDFS cannot be reached.
        """
        try:
            return DeltaTable(self.url, version=version)
        except TableNotFoundError as error:
            raise NotPublishedError(
                f"table {self.table.name} does not exist at {self.url}; `millpond up` creates it"
            ) from error
        except Exception as error:  # deltalake wraps HDFS trouble in several classes
            raise self._unreadable(version, error) from error

    def version(self) -> int:
        """The latest version."""
        return self.open().version()

    def number(self, partition: Partition) -> int:
        """The current receipt number of a partition; 0 if it has never been published."""
        return self.open().transaction_version(f"{self.table.name}/{partition}") or 0

    def partitions(self, version: int | None = None) -> list[Partition]:
        """The dates or hours that have rows, ascending."""
        found = (p[self.table.partition.name] for p in self.open(version).partitions())
        return [self.table.parse_partition(text) for text in sorted(found)]

    def read(self, partition: Partition, version: int | None = None) -> pa.Table:
        """The rows of a partition in the table's order, the partition column last."""
        columns = ", ".join(f'"{column.name}"' for column in self.table.all_columns())
        value = self.table.partition_literal(partition)
        where = f'"{self.table.partition.name}" = {value}'
        # Not pyarrow's dataset scanner: about one process in 20 that used it aborted at its exit
        # (measured; apache/arrow issue 39862).
        query = QueryBuilder().register("stored", self.open(version))
        select = f"SELECT {columns} FROM stored WHERE {where}"  # noqa: S608  catalogue names
        try:
            # Not pa.table(), which loads pandas to see whether it is given one of its frames.
            found = pa.RecordBatchReader.from_stream(query.execute(select)).read_all()
        except Exception as error:  # as many classes as when it is opened
            raise self._unreadable(version, error) from error
        return found.cast(arrow_schema(self.table)).sort_by(sort_keys(self.table.order))

    def commit(
        self,
        partition: Partition,
        number: int,
        files: Sequence[File],
        receipt_sha256: str,
        instead_of: int | None = None,
    ) -> int:
        """Make files below the table's folder all that the partition has; the new version.

        A reader sees the old rows or the new ones, never both or neither. `instead_of` is the
        number of the rows that these are made of; without it they are made of other tables.

        Raises:
            SupersededError: The partition has a number above `number`, or another one than
                `instead_of`; nothing was changed.
        """
        app, column = f"{self.table.name}/{partition}", self.table.partition.name
        values = {column: str(partition)}
        adds: list[AddAction | RemoveAction] = [
            _add(file.path.removeprefix(f"{self._path}/"), file, values) for file in files
        ]
        # A commit fails when somebody else's has taken its version: then what is there now decides.
        while (
            current := (opened := self.open()).transaction_version(app) or 0
        ) < number and instead_of in (None, current):
            try:
                opened.create_write_transaction(
                    adds,
                    "overwrite",
                    opened.schema(),
                    partition_by=[column],
                    partition_filters=[(column, "=", str(partition))],
                    commit_properties=CommitProperties(
                        custom_metadata={"userMetadata": receipt_sha256, **values},
                        max_commit_retries=0,
                        app_transactions=[Transaction(app, number)],
                    ),
                )
            except CommitFailedError:
                continue
            return opened.version()
        if current != number:
            raise SupersededError(
                f"number {number} of {self.table.name} {partition} came after number {current} of "
                "another attempt; that one's rows stay"
            )
        return opened.version()  # ours, though its answer was lost

    def place(self, partition: Partition, number: int) -> str:
        """The path for files of a number of the partition, which is one writer's alone."""
        return f"{self._path}/{folder(partition)}/{number}"

    def files(self, opened: DeltaTable, partition: Partition) -> list[str]:
        """The URLs of the Parquet files that are the partition's rows in the table as opened."""
        column = self.table.partition.name
        return opened.file_uris(file_pruning_predicate=f"{column} = '{partition}'")

    def publications(self, partition: Partition | None, limit: int) -> list[Publication]:
        """The last commits that published a partition (or any of them), the newest first."""
        commits = (self._publication(commit) for commit in self.open().history())
        return [p for p in commits if p and partition in (None, p.partition)][:limit]

    def has_commit_of(self, receipt_sha256: str) -> bool:
        """Whether a receipt's rows have been published, though others may stand there now."""
        return any(receipt_sha256 == commit.get("userMetadata") for commit in self.open().history())

    def _publication(self, commit: dict[str, Any]) -> Publication | None:
        column = self.table.partition.name
        if column not in commit:
            return None
        return Publication(
            partition=self.table.parse_partition(commit[column]),
            version=commit["version"],
            at=datetime.fromtimestamp(commit["timestamp"] / 1000, UTC),
            receipt_sha256=commit["userMetadata"],
        )

    def _arrow_fields(self) -> "Iterable[pa.Field]":
        fields: Iterable[pa.Field] = pa.schema(self.open().schema().to_arrow())
        return fields

    def _unreadable(self, version: int | None, error: Exception) -> MillpondError:
        if version is not None and "version" in str(error).lower():
            return NotPublishedError(
                f"table {self.table.name} has no version {version}; `millpond history "
                f"{self.table.name}` lists those it has"
            )
        return MillpondError(
            f"could not read {self.url}: {_cause(error)}; `millpond status` says whether HDFS is up"
        )


def _add(path: str, file: File, values: Mapping[str, str]) -> AddAction:
    """A file as the log adds it. Statistics skip files; a partition is few, and all are read."""
    return AddAction(path, file.length, values, file.modified, data_change=True, stats="{}")


def _cause(error: Exception) -> str:
    """The innermost of deltalake's causes: it prints one a line, with an arrow in colour.

    A dump of what a cause is about is broken into such lines as well.
    """
    lines = re.sub(r"\x1b\[\d*m|\u21b3", "", str(error)).strip().splitlines()
    causes = list(takewhile(lambda line: "{" not in line, lines)) or lines
    return causes[-1].strip()


def create_missing(settings: Settings) -> None:
    """Create every table of the catalogue that does not exist, empty, before anybody writes.

    Two writers that both find no table would both create it, and one would fail.
    """
    for table in all_tables():
        StoredTable.of(settings, table).create()


def sort_keys(order: tuple[str, ...]) -> list[tuple[str, str]]:
    """A table's order as pyarrow wants it."""
    return [
        (key.lstrip("-"), "descending" if key.startswith("-") else "ascending") for key in order
    ]
