"""`millpond up`, `down`, `status` and `doctor`: the local platform."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from millpond.cli.console import messages, print_grid, settings
from millpond.cluster import config, platform
from millpond.cluster.doctor import doctor as examine
from millpond.cluster.doctor import source_data

# Names stay whole in a narrow terminal; what explains them is folded.
WHOLE_COLUMNS = ("part", "state", "pid", "check", "")


class TableOrJson(StrEnum):
    """How states and checks are printed."""

    TABLE = "table"
    JSON = "json"


FormatOption = Annotated[TableOrJson, typer.Option("--format", help="table or json")]


def up() -> None:
    """Start the local platform, and wait until every part is healthy."""
    here = settings()
    platform.up(here, _say)
    if not (data := source_data(here)).ok:
        _say(f"note: MILLPOND_DATA_DIR is {data.found}; {data.remedy}")
    _say(
        f"the platform runs; Airflow is at {here.airflow_url} (user {here.airflow_user}, "
        f"password in {config.passwords_file(here)}); `millpond status` lists all parts"
    )


def down() -> None:
    """Stop the local platform; its data stays."""
    platform.down(settings(), _say)
    _say("the platform is stopped; nothing of it runs")


def status(format_: FormatOption = TableOrJson.TABLE) -> None:
    """Show every part; the exit code is 1 unless all run."""
    states = platform.status(settings())
    if format_ is TableOrJson.JSON:
        typer.echo(json.dumps([{**asdict(state), "log": str(state.log)} for state in states]))
    else:
        rows = [(s.name, s.state, str(s.pid or ""), s.address, s.why) for s in states]
        _print_table(("part", "state", "pid", "address", "why"), rows)
    raise typer.Exit(0 if all(state.state == "running" for state in states) else 1)


def doctor(format_: FormatOption = TableOrJson.TABLE) -> None:
    """Check everything a run needs; the exit code is 1 if something is missing."""
    checks = examine(settings())
    if format_ is TableOrJson.JSON:
        typer.echo(json.dumps([asdict(check) for check in checks]))
    else:
        rows = [
            (c.name, "ok" if c.ok else "FAILED", c.found, "" if c.ok else c.remedy) for c in checks
        ]
        _print_table(("check", "", "found", "remedy"), rows)
    raise typer.Exit(0 if all(check.ok for check in checks) else 1)


def _print_table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, no_wrap=column in WHOLE_COLUMNS, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    print_grid(table)


def _say(text: str) -> None:
    messages.print(text, markup=False)
