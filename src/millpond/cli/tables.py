"""`millpond show`, `history` and `receipt`: tables on HDFS, read without a JVM."""

import json
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

import pyarrow as pa
import typer
from rich import box
from rich.bar import Bar
from rich.markup import escape
from rich.table import Table as Grid

from millpond.catalog.analyses import all_tables
from millpond.catalog.partitions import Partition
from millpond.catalog.tables import Table
from millpond.cli.console import (
    Format,
    messages,
    partition_of,
    print_grid,
    settings,
    table_named,
)
from millpond.errors import MillpondError, NotPublishedError
from millpond.lake.exports import cell, to_csv
from millpond.lake.receipts import Receipts
from millpond.lake.tables import StoredTable

Name = Annotated[str, typer.Argument(help="a table, such as rating_histogram")]
Ds = Annotated[
    str | None,
    typer.Option(
        "--ds", "--hour", help="YYYY-MM-DD, or YYYY-MM-DDTHH; the latest published by default"
    ),
]
ListFormat = Annotated[Format, typer.Option("--format", help="table, csv or json")]
PUBLICATIONS_SHOWN = 50
BAR_WIDTH = 40
# A line of a source file may hold characters that a terminal obeys: they are shown, and not sent.
PICTURES = {code: 0x2400 + code for code in range(32) if code != ord("\t")}
PICTURES |= dict.fromkeys(range(127, 160), 0xFFFD)


def show(
    name: Name,
    ds: Ds = None,
    format_: ListFormat = Format.TABLE,
    limit: Annotated[str, typer.Option(help="number of rows, or all")] = "20",
    version: Annotated[
        int | None, typer.Option(min=0, help="a former version (see history)")
    ] = None,
    chart: Annotated[bool, typer.Option("--chart", help="draw bars instead")] = False,
) -> None:
    """Print the rows of a table's date or hour."""
    stored = StoredTable.of(settings(), table_named(name))
    axes = _axes(stored.table, format_) if chart else None
    chosen = published_partition(stored, _wanted(stored, ds), version)
    rows = stored.read(chosen, version)
    shown = rows.slice(0, _limit(limit, rows.num_rows))
    if axes:
        print_grid(_bars(shown, *axes))
    else:
        print_rows(shown, format_)
    if format_ is Format.TABLE:
        messages.print(f"{shown.num_rows} of {rows.num_rows} rows of {name} {chosen}")


def history(name: Name, ds: Ds = None, format_: ListFormat = Format.TABLE) -> None:
    """List a table's publications, the newest first."""
    here = settings()
    stored = StoredTable.of(here, table_named(name))
    column = stored.table.partition.name
    wanted = _wanted(stored, ds)
    found = []
    for publication in stored.publications(wanted, PUBLICATIONS_SHOWN):
        receipts = Receipts.of(here, stored.table, publication.partition)
        receipt = receipts.published_as(publication.receipt_sha256)
        found.append(
            {
                column: str(publication.partition),
                "number": receipt.number if receipt else None,
                "version": publication.version,
                "at": publication.at.isoformat(timespec="seconds"),
                "rows": receipt.rows["out"] if receipt else None,
                "application": receipt.application_id if receipt else None,
                "run": receipt.run_id if receipt else None,
            }
        )
    if not found:
        published_partition(stored, wanted, None)  # it says which there are
    columns = (column, "number", "version", "at", "rows", "application", "run")
    print_rows(pa.table({c: [row[c] for row in found] for c in columns}), format_)


def receipt(
    name: Name,
    ds: Ds = None,
    number: Annotated[int | None, typer.Option(help="the latest that counts by default")] = None,
) -> None:
    """Print a receipt: what went in, what came out, which code, which checks."""
    here = settings()
    stored = StoredTable.of(here, table_named(name))
    chosen = _wanted(stored, ds) or published_partition(stored, None, None)
    receipts = Receipts.of(here, stored.table, chosen)
    if number is None:
        found = next(iter(receipts.standing(stored.number(chosen))), None)
    else:
        found = receipts.read(number)
    if found is None:
        published_partition(stored, chosen, None)  # or it says which dates there are
        raise NotPublishedError(
            f"{name} {chosen} has no receipt {number or 'at all'}; `millpond history {name}` lists "
            "those it has"
        )
    typer.echo(found.to_bytes().decode(), nl=False)


def published_partition(
    stored: StoredTable, wanted: Partition | None, version: int | None
) -> Partition:
    """The date or hour asked for if it has been published, or the latest that has rows.

    Raises:
        NotPublishedError: It has not; the sentence says which have.
    """
    found = stored.partitions(version)
    if wanted is None and found:
        return found[-1]
    # One that was published without rows has no partition, and a number all the same.
    if wanted is not None and (wanted in found or stored.number(wanted) > 0):
        return wanted
    name = stored.table.name
    if not found:
        raise NotPublishedError(f"{name} has not been published yet; `millpond run` computes it")
    raise NotPublishedError(f"{name} has no {wanted}; it has {found[0]} to {found[-1]}")


def print_rows(rows: pa.Table, format_: Format) -> None:
    """Rows on standard output."""
    if format_ is Format.JSON:
        typer.echo(json.dumps([_plain(row) for row in rows.to_pylist()], ensure_ascii=False))
    elif format_ is Format.CSV:
        typer.echo(to_csv(rows), nl=False)
    else:
        print_grid(_grid(rows))


def _grid(rows: pa.Table) -> Grid:
    grid = Grid(box=box.SIMPLE)
    for field in rows.schema:
        numeric = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        right = numeric or pa.types.is_decimal(field.type)
        # In a narrow terminal text is folded and nothing is cut; a number stays on one line.
        justify: Literal["right", "left"] = "right" if right else "left"
        grid.add_column(field.name, justify=justify, no_wrap=right, overflow="fold")
    for row in rows.to_pylist():
        grid.add_row(*map(_shown, row.values()))
    return grid


def _shown(value: Any) -> str:
    return escape(cell(value).translate(PICTURES))


def _axes(table: Table, format_: Format) -> tuple[str, str]:
    if format_ is not Format.TABLE:
        raise MillpondError(f"--chart and --format {format_}: a chart is for people; give one only")
    if table.chart is None:
        charted = ", ".join(known.name for known in all_tables() if known.chart)
        raise MillpondError(f"{table.name} has no chart; these have: {charted}")
    return table.chart


def _bars(rows: pa.Table, label: str, value: str) -> Grid:
    """A bar per row, from 0 to its value; the longest and the lowest span the width."""
    labels, values = rows.column(label).to_pylist(), rows.column(value).to_pylist()
    least, most = min([0, *values]), max([0, *values])
    size = float(most - least) or 1.0
    grid = Grid(box=box.SIMPLE)
    grid.add_column(label, overflow="fold")
    grid.add_column("")
    grid.add_column(value, justify="right")
    for name, number in zip(labels, values, strict=True):
        begin, end = float(min(0, number) - least), float(max(0, number) - least)
        bar = Bar(size, begin, end, width=BAR_WIDTH)
        grid.add_row(_shown(name), bar, _shown(number))
    return grid


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Values that JSON has; a decimal as text keeps its digits."""
    return {name: str(v) if isinstance(v, date | Decimal) else v for name, v in row.items()}


def _wanted(stored: StoredTable, text: str | None) -> Partition | None:
    return partition_of(stored.table, text) if text else None


def _limit(text: str, rows: int) -> int:
    if text == "all":
        return rows
    if not text.isdecimal():
        raise MillpondError(f"--limit is {text!r}; give a number of rows, or all")
    return int(text)
