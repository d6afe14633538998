"""The datasets: which file, which format, which columns a clean row has.

A line is split into fields; each field must match its pattern before it is cast (a cast alone
accepts `1e2` and `NaN`), and the value must satisfy its check. Expressions are Spark SQL, in which
`{text}` is the field without the blanks around it and `{value}` the cast value.
"""

from dataclasses import dataclass
from typing import Literal

from millpond.catalog.reasons import reason
from millpond.catalog.tables import Column, Expectation, Table

INTEGER = r"[+-]?\d+"
DECIMAL = r"[+-]?\d+(\.\d+)?"
MONEY = r"-?\d{1,16}(\.\d{1,2})?"
SOMETHING = r"(?s).+"
ANYTHING = r"(?s).*"


@dataclass(frozen=True)
class Field:
    """One clean column, cut from position `position` (from 0) of a line.

    Text that does not match `pattern` is `reason`; a value for which `check` is not true, which by
    default is a null, is `range_reason`.
    """

    column: Column
    position: int
    pattern: str
    reason: str
    cast: str
    check: str = "{value} IS NOT NULL"
    range_reason: str = "out_of_range"

    def __post_init__(self) -> None:
        for code in (self.reason, self.range_reason):
            reason(code, self.column.name)


@dataclass(frozen=True)
class Dataset:
    """A named input: its file, how lines become rows, and how many bad ones are tolerated.

    `separator` is a regular expression; without one the line is its only field, blanks and all.
    Of lines with one `key` the first stays. `order` is that of the clean rows when they are shown.
    """

    name: str
    file: str
    meaning: str
    separator: str | None
    field_counts: tuple[int, ...]
    fields: tuple[Field, ...]
    order: tuple[str, ...]
    key: str | None = None
    bad_rows_limit: float = 0.01
    encoding: Literal["UTF-8", "ISO-8859-1", "detect"] = "UTF-8"
    expectations: tuple[Expectation, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.bad_rows_limit < 1:
            raise ValueError(
                f"dataset {self.name}: bad_rows_limit is {self.bad_rows_limit}; use 0 to below 1"
            )

    @property
    def clean(self) -> Table:
        """The table of rows that fit."""
        return Table(
            name=f"clean_{self.name}",
            path=f"clean/{self.name}",
            meaning=f"{self.meaning}; every row fits the schema",
            columns=tuple(field.column for field in self.fields),
            order=self.order,
            expectations=self.expectations,
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


def _given(column: Column, expression: str) -> Field:
    """A column that is about the line and not cut from it."""
    return Field(column, 0, ANYTHING, "missing", expression)


def _integer(name: str, position: int, meaning: str, check: str) -> Field:
    return Field(
        Column(name, "int", meaning),
        position,
        INTEGER,
        "not_an_integer",
        "try_cast({text} AS INT)",
        check,
    )


def _text(name: str, position: int, meaning: str, pattern: str = SOMETHING) -> Field:
    return Field(Column(name, "string", meaning), position, pattern, "missing", "{text}")


def _flag(name: str, position: int, meaning: str) -> Field:
    """A field that may be empty, and is null then."""
    return Field(
        Column(name, "string", meaning), position, ANYTHING, "missing", "nullif({text}, '')", "true"
    )


def _date(name: str, position: int, meaning: str, pattern: str, notation: str) -> Field:
    """A day, in a notation of Java's DateTimeFormatter; null if empty and `pattern` allows that."""
    return Field(
        Column(name, "date", meaning),
        position,
        pattern,
        "bad_date",
        f"CAST(try_to_timestamp({{text}}, '{notation}') AS DATE)",
        # Spark takes the year 0, which the calendar does not have, nor Python.
        "{text} = '' OR {value} >= DATE '0001-01-01'",
        "bad_date",
    )


RATINGS = Dataset(
    name="ratings",
    file="u.data",
    meaning="one rating of a movie by a user",
    separator=r"[\t ]+",
    field_counts=(4,),
    fields=(
        _integer("user_id", 0, "who rated", "{value} > 0"),
        _integer("movie_id", 1, "what was rated", "{value} > 0"),
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
        _given(LINE_NUMBER, "line_number"),
    ),
    order=("line_number",),
    expectations=(
        Expectation("mean_rating", "avg(rating)", minimum=1.5, maximum=4.5, severity="warn"),
        Expectation(
            "share_rated_again",
            "1 - count(DISTINCT user_id, movie_id) / count(*)",
            maximum=0.1,
            severity="warn",
        ),
    ),
)

MOVIES = Dataset(
    name="movies",
    file="u.item",
    meaning="one movie with its title",
    separator=r"\|",
    field_counts=(24,),
    fields=(
        _integer("movie_id", 0, "the movie", "{value} > 0"),
        _text("title", 1, "its title, as a rule with the year"),
        _date(
            "release_date",
            2,
            "when it was released; null if that is not known",
            r"|\d{2}-[A-Z][a-z]{2}-\d{4}",
            "dd-MMM-yyyy",
        ),
    ),
    order=("movie_id",),
    key="movie_id",
    encoding="ISO-8859-1",
    expectations=(
        Expectation(
            "share_undated", "avg(int(release_date IS NULL))", maximum=0.5, severity="warn"
        ),
    ),
)

FRIENDS = Dataset(
    name="friends",
    file="fakefriends.csv",
    meaning="one person with the number of friends; the name stays in the raw zone",
    separator=",",
    field_counts=(4,),
    fields=(
        _integer("person_id", 0, "the person", "{value} >= 0"),
        _integer("age", 2, "age in years", "{value} BETWEEN 0 AND 150"),
        _integer("friends", 3, "number of friends", "{value} >= 0"),
    ),
    order=("person_id",),
    key="person_id",
    expectations=(Expectation("oldest", "max(age)", maximum=120, severity="warn"),),
)

TEMPERATURES = Dataset(
    name="temperatures",
    file="1800.csv",
    meaning="one observation of one element at one station, as in GHCN-Daily",
    separator=",",
    field_counts=(7, 8),  # the eighth is the time of day, which is not kept
    fields=(
        _text("station", 0, "the station"),
        _date("observed_on", 1, "the day", r"\d{8}", "yyyyMMdd"),
        _text("element", 2, "what was observed: TMIN, TMAX, PRCP, ..."),
        Field(
            Column("value", "int", "tenths of a degree C for TMIN and TMAX; null if missing"),
            3,
            INTEGER,
            "not_an_integer",
            "nullif(try_cast({text} AS INT), -9999)",
            # The format has five characters for a value. No temperature needs more than four, and
            # the Fahrenheit of one that does would not fit its column.
            "try_cast({text} AS INT) BETWEEN -9999"
            " AND IF(element IN ('TMIN', 'TMAX'), 9999, 99999)",
        ),
        _flag("measurement_flag", 4, "how it was measured; null if nothing is said"),
        _flag("quality_flag", 5, "which test of quality it failed; null if none"),
        _flag("source_flag", 6, "where it came from"),
    ),
    order=(
        *("station", "observed_on", "element", "value"),
        *("measurement_flag", "quality_flag", "source_flag"),
    ),
    expectations=(
        Expectation("share_missing", "avg(int(value IS NULL))", maximum=0.2, severity="warn"),
        Expectation(
            "share_doubted", "avg(int(quality_flag IS NOT NULL))", maximum=0.1, severity="warn"
        ),
    ),
)

TEXTS = Dataset(
    name="texts",
    file="book.txt",
    meaning="one line of a text",
    separator=None,
    field_counts=(1,),
    fields=(
        _given(Column("document", "string", "the file's name"), "'book.txt'"),
        _given(LINE_NUMBER, "line_number"),
        _text("line", 0, "the line, blanks and all; it may be empty", ANYTHING),
    ),
    order=("document", "line_number"),
    encoding="detect",
    expectations=(
        Expectation("share_empty", "avg(int(trim(line) = ''))", maximum=0.8, severity="warn"),
    ),
)

ORDERS = Dataset(
    name="orders",
    file="customer-orders.csv",
    meaning="one order of one item; a negative amount is a refund",
    separator=",",
    field_counts=(3,),
    fields=(
        _integer("customer_id", 0, "who ordered", "{value} >= 0"),
        _integer("item_id", 1, "what was ordered", "{value} >= 0"),
        Field(
            Column("amount", "decimal(18,2)", "what was paid, exactly; negative for a refund"),
            2,
            MONEY,
            "bad_money",
            "try_cast({text} AS DECIMAL(18,2))",
        ),
    ),
    order=("customer_id", "item_id", "amount"),
    expectations=(
        Expectation("share_refunds", "avg(int(amount < 0))", maximum=0.2, severity="warn"),
    ),
)

DATASETS = (RATINGS, MOVIES, FRIENDS, TEMPERATURES, TEXTS, ORDERS)


def dataset(name: str) -> Dataset:
    """The dataset of that name; KeyError if there is none."""
    return {d.name: d for d in DATASETS}[name]
