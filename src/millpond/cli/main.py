"""The command line: `millpond`."""

import sys

from millpond.cli.platform import app
from millpond.errors import MillpondError


def run() -> None:
    """Run a command; what a person can mend is one sentence, never a traceback."""
    try:
        app()
    except MillpondError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
