"""What the commands share: two streams, and arguments with a meaning.

Machine-readable output goes to standard output alone; all else to standard error.
"""

import os
from collections.abc import Mapping
from datetime import date
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

from rich.console import Console
from rich.table import Table as Grid

from millpond.catalog.analyses import all_tables
from millpond.catalog.partitions import Partition
from millpond.catalog.settings import Settings
from millpond.catalog.tables import HOUR, Table
from millpond.errors import MillpondError

Named = TypeVar("Named")

output = Console(highlight=False, soft_wrap=True)
messages = Console(stderr=True, highlight=False, soft_wrap=True)

# A file or a pipe has no width to respect.
UNBOUND_WIDTH = 200


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def print_grid(grid: Grid) -> None:
    """A grid on standard output, as wide as the terminal is."""
    width = None if output.is_terminal else UNBOUND_WIDTH
    Console(highlight=False, width=width).print(grid)


def amount(number: int, noun: str) -> str:
    """`1 hour`, `2 hours`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def settings() -> Settings:
    """The settings of this environment."""
    return Settings.from_env(os.environ)


def by_name(kind: str, name: str, known: Mapping[str, Named]) -> Named:
    """The one of that name.

    Raises:
        MillpondError: There is none; the sentence suggests the nearest.
    """
    if name not in known:
        nearest = get_close_matches(name, known, n=1)
        hint = f"did you mean {nearest[0]}? " if nearest else ""
        choice = f"choose from {', '.join(known)}" if known else "there are none"
        raise MillpondError(f"there is no {kind} {name!r}; {hint}{choice}")
    return known[name]


def table_named(name: str) -> Table:
    """The table of that name; see `by_name`."""
    return by_name("table", name, {table.name: table for table in all_tables()})


def day(text: str) -> date:
    """A date as people write it.

    Raises:
        MillpondError: It is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise MillpondError(f"{text!r} is no date; write it as YYYY-MM-DD") from None


def partition_of(table: Table, text: str) -> Partition:
    """A date, or an hour of an hourly table, as people write it.

    Raises:
        MillpondError: It is none.
    """
    if table.partition != HOUR:
        return day(text)
    try:
        return table.parse_partition(text)
    except ValueError:
        raise MillpondError(f"{text!r} is no hour; write it as YYYY-MM-DDTHH") from None
