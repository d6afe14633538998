"""`millpond`: every command, and what becomes of an error."""

import os
import sys

import typer

from millpond.cli import customers, demo, interactions, platform, runs, tables
from millpond.cli.console import messages
from millpond.errors import MillpondError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Batch analytics on HDFS, YARN, Spark and Airflow.",
)
COMMANDS = (
    *(platform.up, platform.down, platform.status, platform.doctor),
    *(runs.run, demo.demo),
    *(tables.show, tables.history, tables.receipt),
)
for command in COMMANDS:
    app.command()(command)
OF_CUSTOMERS = (
    *(customers.audit, customers.dead_letters, customers.resolve),
    *(customers.erase, customers.opening),
)
for of_customers in OF_CUSTOMERS:
    interactions.app.command()(of_customers)
app.add_typer(interactions.app, name="interactions")


def run() -> None:
    """Run a command; what a person can mend is one sentence, never a traceback."""
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
