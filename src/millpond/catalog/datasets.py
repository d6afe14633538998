"""The datasets: which file, which format, which columns a clean row has.

A line is split into fields; each field must match its pattern before it is cast (a cast alone
accepts `1e2` and `NaN`), and the value must satisfy its check. Expressions are Spark SQL with one
placeholder: `{text}` the field as trimmed text, `{value}` the cast value.
"""

from dataclasses import dataclass
from typing import Literal

from millpond.catalog.reasons import reason
from millpond.catalog.tables import Column, Table

INTEGER = r"[+-]?\d+"
DECIMAL = r"[+-]?\d+(\.\d+)?"


@dataclass(frozen=True)
class Field:
    """One clean column, cut from position `position` (from 0) of a line.

    Text that does not match `pattern` is `reason`; text whose `cast` is null, or whose value fails
    `check`, is `range_reason`.
    """

    column: Column
    position: int
    pattern: str
    reason: str
    cast: str
    check: str = "true"
    range_reason: str = "out_of_range"

    def __post_init__(self) -> None:
        for code in (self.reason, self.range_reason):
            reason(code, self.column.name)


@dataclass(frozen=True)
class Dataset:
    """A named input: its file, how lines become rows, and how many bad ones are tolerated."""

    name: str
    file: str
    meaning: str
    separator: str
    field_counts: tuple[int, ...]
    fields: tuple[Field, ...]
    key: str | None = None
    bad_rows_limit: float = 0.01
    encoding: Literal["UTF-8", "ISO-8859-1", "detect"] = "UTF-8"

    def __post_init__(self) -> None:
        if not 0 <= self.bad_rows_limit < 1:
            raise ValueError(
                f"dataset {self.name}: bad_rows_limit is {self.bad_rows_limit}; use 0 to below 1"
            )

    @property
    def clean(self) -> Table:
        """The table of rows that fit."""
        columns = tuple(field.column for field in self.fields)
        if "line_number" not in [column.name for column in columns]:
            columns = (*columns, LINE_NUMBER)
        return Table(
            name=f"clean_{self.name}",
            path=f"clean/{self.name}",
            meaning=f"{self.meaning}; every row fits the schema",
            columns=columns,
            order=("line_number",),
        )

    @property
    def quarantine(self) -> Table:
        """The table of lines that do not fit, with every reason."""
        return Table(
            name=f"quarantine_{self.name}",
            path=f"quarantine/{self.name}",
            meaning=f"lines of {self.file} that do not fit, with the reasons",
            columns=(
                LINE_NUMBER,
                Column("line", "string", "the line as it was read"),
                Column("reasons", "array<string>", "reason codes, in the order of the columns"),
            ),
            order=("line_number",),
            allow_empty=True,
        )


LINE_NUMBER = Column("line_number", "bigint", "number of the line in the source file, from 1")


def _id(name: str, position: int, meaning: str) -> Field:
    return Field(
        Column(name, "int", meaning),
        position,
        INTEGER,
        "not_an_integer",
        "try_cast({text} AS INT)",
        "{value} > 0",
    )


RATINGS = Dataset(
    name="ratings",
    file="u.data",
    meaning="one rating of a movie by a user",
    separator=r"[\t ]+",
    field_counts=(4,),
    fields=(
        _id("user_id", 0, "who rated"),
        _id("movie_id", 1, "what was rated"),
        Field(
            Column("rating", "double", "0.5 to 5.0 in halves"),
            2,
            DECIMAL,
            "not_a_number",
            "try_cast({text} AS DOUBLE)",
            "{value} BETWEEN 0.5 AND 5.0 AND {value} * 2 = floor({value} * 2)",
        ),
        Field(
            Column("rated_at", "timestamp", "when it was rated, UTC"),
            3,
            INTEGER,
            "not_an_integer",
            # Seconds from 1970 to the year 9999, which a calendar prints; more would overflow.
            "CASE WHEN try_cast({text} AS BIGINT) BETWEEN 0 AND 253370764799"
            " THEN timestamp_seconds(try_cast({text} AS BIGINT)) END",
        ),
    ),
)

DATASETS = (RATINGS,)


def dataset(name: str) -> Dataset:
    """The dataset of that name; KeyError if there is none."""
    return {d.name: d for d in DATASETS}[name]
