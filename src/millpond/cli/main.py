"""`millpond`: every command, and what becomes of an error."""

import os
import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from millpond.cli.console import messages
from millpond.errors import MillpondError

# Each with its module.
COMMANDS = {
    **dict.fromkeys(("up", "down", "status", "doctor"), "platform"),
    "run": "runs",
    "demo": "demo",
    **dict.fromkeys(("show", "history", "receipt"), "tables"),
    "interactions": "interactions",
}


class Commands(TyperGroup):
    """Imports a command's module when it is asked for: none waits for what another stands on."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        """All, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """The command or group of that name; None without one."""
        if cmd_name not in COMMANDS:
            return None
        found = getattr(import_module(f"millpond.cli.{COMMANDS[cmd_name]}"), cmd_name)
        if not isinstance(found, typer.Typer):
            alone = typer.Typer(add_completion=False)
            alone.command()(found)
            found = alone
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Batch analytics on HDFS, YARN, Spark and Airflow.",
)


@app.callback()
def millpond() -> None:
    """A group, although no command is known before it is asked for."""


def run() -> None:
    """Run a command; what a person can mend is one sentence, never a traceback."""
    # The client of HDFS would write each failed try to the terminal.
    os.environ.setdefault("RUST_LOG", "error")
    try:
        app()
    except MillpondError as error:
        messages.print(f"millpond: {error}", markup=False)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        # Whoever read has enough; Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        # A full disk, a folder that may not be written to.
        place = f"{error.filename}: " if error.filename else ""
        remedy = "free some room, or make it writable"
        messages.print(f"millpond: {place}{error.strerror or error}; {remedy}", markup=False)
        sys.exit(1)
