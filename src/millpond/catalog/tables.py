"""A table as its users see it: a name, a place, columns with a meaning, and an order."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from millpond.catalog.partitions import Hour, Partition

TYPES = ("int", "bigint", "double", "string", "date", "timestamp", "array<string>")


@dataclass(frozen=True)
class Column:
    """One column: `type` is Spark SQL's name of it, which is also Delta's."""

    name: str
    type: str
    meaning: str

    def __post_init__(self) -> None:
        if self.type not in TYPES and not self.type.startswith("decimal("):
            raise ValueError(
                f"column {self.name} has type {self.type!r}; use {', '.join(TYPES)} or decimal(p,s)"
            )


DS = Column("ds", "date", "the date of the run, UTC")
HOUR = Column("hour", "string", "the hour of the run, UTC, as YYYY-MM-DDTHH")


def limits_in_words(minimum: float | None, maximum: float | None) -> str:
    """Such as `at least 1 and at most 5`."""
    low = "" if minimum is None else f"at least {minimum:g}"
    high = "" if maximum is None else f"at most {maximum:g}"
    return " and ".join(filter(None, (low, high)))


@dataclass(frozen=True)
class Expectation:
    """A check on the rows to be published: an SQL aggregate that must lie between two limits.

    In `aggregate`, `{rows_in}` is the number of rows that were read. `error` stops the publication,
    `warn` is recorded in the receipt and said in the task's log.
    """

    name: str
    aggregate: str
    minimum: float | None = None
    maximum: float | None = None
    severity: Literal["error", "warn"] = "error"

    def __post_init__(self) -> None:
        if self.minimum is None and self.maximum is None:
            raise ValueError(f"expectation {self.name} has no limit; give minimum, maximum or both")


@dataclass(frozen=True)
class Table:
    """A Delta table under the root, partitioned by `partition`.

    `columns` leaves the partition column out. `order` is the total order in which rows are shown
    and exported (table files have none): column names, `-` before one that descends. `export`
    writes each date as one CSV file too. `chart` names the columns of a bar chart: label, value.
    """

    name: str
    path: str
    meaning: str
    columns: tuple[Column, ...]
    order: tuple[str, ...]
    partition: Column = DS
    allow_empty: bool = False
    expectations: tuple[Expectation, ...] = ()
    export: bool = False
    chart: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        for use, keys in (("ordered by", self.order), ("charted by", self.chart or ())):
            for key in keys:
                if key.lstrip("-") not in names:
                    raise ValueError(
                        f"table {self.name} is {use} {key!r}, which is none of its columns {names}"
                    )

    def all_columns(self) -> tuple[Column, ...]:
        """The columns as they are stored: the partition column last."""
        return (*self.columns, self.partition)

    def parse_partition(self, text: str) -> Partition:
        """The partition that is written so; ValueError if none is."""
        return Hour.parse(text) if self.partition == HOUR else date.fromisoformat(text)

    def partition_literal(self, partition: Partition) -> str:
        """The partition's value in SQL."""
        return f"{'DATE ' if self.partition.type == 'date' else ''}'{partition}'"
