"""`millpond up`, `down`, `status` and `doctor`."""

import json
import os
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from millpond.catalog.settings import Settings
from millpond.cluster import config, platform
from millpond.cluster.doctor import doctor as examine

app = typer.Typer(no_args_is_help=True)
messages = Console(stderr=True, highlight=False, soft_wrap=True)
results = Console(highlight=False, soft_wrap=True)


class Format(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    JSON = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="How to print it.")]


def register(parent: typer.Typer) -> None:
    """Add these commands to another application."""
    parent.registered_commands.extend(app.registered_commands)


@app.command()
def up() -> None:
    """Start the local platform, and wait until every part is healthy."""
    settings = _settings()
    platform.up(settings, _say)
    _say(
        f"the platform runs; Airflow is at {settings.airflow_url} (user {settings.airflow_user}, "
        f"password in {config.passwords_file(settings)}); `millpond status` lists all parts"
    )


@app.command()
def down() -> None:
    """Stop the local platform; its data stays."""
    platform.down(_settings(), _say)
    _say("the platform is stopped; nothing of it runs")


@app.command()
def status(format_: FormatOption = Format.TABLE) -> None:
    """Show every part; the exit code is 1 unless all run."""
    states = platform.status(_settings())
    if format_ is Format.JSON:
        typer.echo(json.dumps([{**asdict(state), "log": str(state.log)} for state in states]))
    else:
        table = _table("part", "state", "pid", "address", "why")
        for state in states:
            pid = "" if state.pid is None else str(state.pid)
            table.add_row(state.name, state.state, pid, state.address, state.why)
        results.print(table)
    raise typer.Exit(0 if all(state.state == "running" for state in states) else 1)


@app.command()
def doctor(format_: FormatOption = Format.TABLE) -> None:
    """Check everything a run needs; the exit code is 1 if something is missing."""
    checks = examine(_settings())
    if format_ is Format.JSON:
        typer.echo(json.dumps([asdict(check) for check in checks]))
    else:
        table = _table("check", "", "found", "remedy")
        for check in checks:
            remedy = "" if check.ok else check.remedy
            table.add_row(check.name, "ok" if check.ok else "FAILED", check.found, remedy)
        results.print(table)
    raise typer.Exit(0 if all(check.ok for check in checks) else 1)


def _settings() -> Settings:
    return Settings.from_env(os.environ)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        # Names stay whole in a narrow terminal; what explains them is folded.
        whole = column in ("part", "state", "pid", "check", "")
        table.add_column(column, no_wrap=whole, overflow="fold")
    return table


def _say(text: str) -> None:
    messages.print(text, markup=False)


if __name__ == "__main__":
    app()
