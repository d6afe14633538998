"""spark-submit as a child that does not outlive its task."""

import logging
import re
import subprocess
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from millpond.catalog.sizes import Size
from millpond.crash import crash_point
from millpond.errors import MillpondError

log = logging.getLogger(__name__)

# A client that outlived its task would submit what nobody waits for.
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")
# The client says what is wrong, then fills a screen with stack traces.
KEPT_LINES = 300
# What Spark's own pages hide: the default of spark.redaction.regex.
SECRET = re.compile("secret|password|token|access[.]?key", flags=re.IGNORECASE)


class SubmitClient:
    """A spark-submit that ends once YARN has accepted the application."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run(self, command: Sequence[str]) -> None:
        """Submit, with what the client says in the log.

        Raises:
            MillpondError: The client failed; the sentence has its complaint.
        """
        self._process = subprocess.Popen(
            [*DIES_WITH_US, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        lines: deque[str] = deque(maxlen=KEPT_LINES)
        log.info("::group::spark-submit")
        assert self._process.stdout is not None
        # Not `with` the process: when the task is interrupted that would wait for the client.
        with self._process.stdout as said:
            for line in said:
                crash_point("submitting")
                lines.append(line.strip())
                log.info("%s", line.rstrip())
        log.info("::endgroup::")
        if code := self._process.wait():
            raise MillpondError(f"spark-submit ended with {code}: {complaint(lines)}")

    def kill(self) -> None:
        """End the client, if one runs."""
        if self._process is not None:
            self._process.kill()


def size_options(size: Size) -> dict[str, Any]:
    """A size as the arguments of the operator."""
    return {
        "driver_memory": f"{size.driver_mb}m",
        "executor_memory": f"{size.executor_mb}m",
        "executor_cores": size.cores,
        "num_executors": size.executors,
        "yarn_queue": size.queue,
    }


def refuse_secrets(names: Iterable[str]) -> None:
    """Every configuration and variable is on the client's command line, which all may read.

    Raises:
        ValueError: One is named like a secret.
    """
    for name in names:
        if SECRET.search(name):
            raise ValueError(
                f"{name} would be on the command line of spark-submit; write it to a file of mode "
                "0600 and give the file's path, or give the file by `files`"
            )


def complaint(lines: Collection[str]) -> str:
    """The line of a failed client's output that says why."""
    for mark in ("Exception in thread", "Error", "Exception"):
        for line in lines:
            if mark in line:
                return line.removeprefix('Exception in thread "main" ')
    return next(reversed([*lines]), "it said nothing")
