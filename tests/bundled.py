"""The bundled data as plain Python reads it: a reader of its own, which shares nothing with the
generators, the catalogue or Spark."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from benchmarks.sample_data import FILES, friends, movies, orders, ratings, temperatures
from benchmarks.sample_data.draws import Strays
from millpond.catalog.settings import PROJECT_DIR

BUNDLED = PROJECT_DIR / "include" / "data"
RATINGS, MOVIES, FRIENDS, TEMPERATURES, BOOK, ORDERS = FILES


@dataclass(frozen=True)
class Column:
    name: str
    position: int
    pattern: str
    unlike_pattern: str
    check: Callable[[str], bool] = lambda _: True
    unlike_check: str = "out_of_range"

    def reasons(self, field: str) -> tuple[str, ...]:
        if not re.fullmatch(self.pattern, field):
            return (f"{self.unlike_pattern}:{self.name}",)
        return () if self.check(field) else (f"{self.unlike_check}:{self.name}",)


@dataclass(frozen=True)
class Format:
    separator: str
    field_counts: set[int]
    columns: tuple[Column, ...]
    strays: Strays
    has_key: bool = False
    encoding: str = "utf-8"
    line_end: str = "\n"


def is_date(notation: str) -> Callable[[str], bool]:
    def check(field: str) -> bool:
        try:
            return not field or bool(datetime.strptime(field, notation))  # noqa: DTZ007  a day
        except ValueError:
            return False

    return check


def whole(name: str, position: int, least: int | None = None) -> Column:
    return Column(
        name,
        position,
        r"[+-]?\d+",
        "not_an_integer",
        lambda field: least is None or int(field) >= least,
    )


FORMATS = {
    RATINGS: Format(
        "\t",
        {4},
        (
            whole("user_id", 0, least=1),
            whole("movie_id", 1, least=1),
            Column(
                "rating",
                2,
                r"\d+(\.\d+)?",
                "not_a_number",
                lambda field: 1 <= float(field) * 2 <= 10 and float(field) * 2 % 1 == 0,
            ),
            whole("rated_at", 3, least=0),
        ),
        ratings.BAD_LINES,
    ),
    MOVIES: Format(
        "|",
        {24},
        (
            whole("movie_id", 0, least=1),
            Column("title", 1, r".+", "missing"),
            Column(
                "release_date", 2, r"|\d\d-\w{3}-\d{4}", "bad_date", is_date("%d-%b-%Y"), "bad_date"
            ),
        ),
        movies.BAD_LINES,
        has_key=True,
        encoding="iso-8859-1",
    ),
    FRIENDS: Format(
        ",",
        {4},
        (whole("person_id", 0, least=0), whole("age", 2, least=0), whole("friends", 3, least=0)),
        friends.BAD_LINES,
        has_key=True,
        line_end="\r\n",
    ),
    TEMPERATURES: Format(
        ",",
        {7, 8},
        (
            Column("station", 0, r"[A-Z]{2}[A-Z0-9]\w{8}", "missing"),
            Column("observed_on", 1, r"\d{8}", "bad_date", is_date("%Y%m%d"), "bad_date"),
            Column("element", 2, r"TMIN|TMAX|PRCP", "missing"),
            whole("value", 3),
        ),
        temperatures.BAD_LINES,
    ),
    BOOK: Format("\n", {1}, (), {}),
    ORDERS: Format(
        ",",
        {3},
        (
            whole("customer_id", 0, least=0),
            whole("item_id", 1, least=0),
            Column("amount", 2, r"-?\d{1,16}(\.\d{1,2})?", "bad_money"),
        ),
        orders.BAD_LINES,
    ),
}


@cache
def lines(name: str) -> tuple[str, ...]:
    form = FORMATS[name]
    text = (BUNDLED / name).read_bytes().decode(form.encoding)
    return tuple(text.removesuffix(form.line_end).split(form.line_end))


@cache
def judged(name: str) -> tuple[list[list[str]], dict[str, tuple[str, ...]]]:
    """The fields of the lines that fit, and the other lines with their reasons."""
    form, keys = FORMATS[name], set[str]()
    fit: list[list[str]] = []
    strays: dict[str, tuple[str, ...]] = {}
    for line in lines(name):
        fields = line.split(form.separator)
        if len(fields) not in form.field_counts:
            strays[line] = ("field_count",)
        elif reasons := tuple(r for c in form.columns for r in c.reasons(fields[c.position])):
            strays[line] = reasons
        elif form.has_key and fields[0] in keys:
            strays[line] = ("duplicate_key",)
        else:
            keys.add(fields[0])
            fit.append(fields)
    return fit, strays


def fitting(name: str) -> list[list[str]]:
    return judged(name)[0]
