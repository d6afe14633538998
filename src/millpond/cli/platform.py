"""`millpond up`, `down`, `status` and `doctor`."""

import json
import os
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from millpond.catalog.settings import Settings
from millpond.cluster import platform

app = typer.Typer(no_args_is_help=True)
messages = Console(stderr=True, highlight=False, soft_wrap=True)


class Format(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    JSON = "json"


@app.command()
def up() -> None:
    """Start the local platform, and wait until every part is healthy."""
    platform.up(Settings.from_env(os.environ), _report)


@app.command()
def down() -> None:
    """Stop the local platform; its data stays."""
    platform.down(Settings.from_env(os.environ), _report)


@app.command()
def status(
    format_: Annotated[Format, typer.Option("--format", help="table or json")] = Format.TABLE,
) -> None:
    """Show every part; the exit code is 1 unless all run."""
    states = platform.status(Settings.from_env(os.environ))
    rows = [
        {
            "part": state.name,
            "state": state.state,
            "pid": state.pid,
            "address": state.address,
            "log": str(state.log),
            "why": state.why,
        }
        for state in states
    ]
    if format_ is Format.JSON:
        typer.echo(json.dumps(rows))
    raise typer.Exit(0 if all(state.state == "running" for state in states) else 1)


def _report(text: str) -> None:
    messages.print(text, markup=False)


if __name__ == "__main__":
    app()
