"""spark-submit as a child that does not outlive its task."""

import logging
import subprocess
from collections import deque
from collections.abc import Collection, Sequence

from millpond.errors import MillpondError

log = logging.getLogger(__name__)

# A client that outlived its task would submit what nobody waits for.
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")
# The client says what is wrong, then fills a screen with stack traces.
KEPT_LINES = 300


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
                lines.append(line.strip())
                log.info("%s", line.rstrip())
        log.info("::endgroup::")
        if code := self._process.wait():
            raise MillpondError(f"spark-submit ended with {code}: {complaint(lines)}")

    def kill(self) -> None:
        """End the client, if one runs."""
        if self._process is not None:
            self._process.kill()


def complaint(lines: Collection[str]) -> str:
    """The line of a failed client's output that says why."""
    for mark in ("Exception in thread", "Error", "Exception"):
        for line in lines:
            if mark in line:
                return line.removeprefix('Exception in thread "main" ')
    return next(reversed([*lines]), "it said nothing")
