"""How the workers of one test run share one platform.

Locks on files, which the system takes back from a worker that dies.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

SHARED, ALONE = fcntl.LOCK_SH, fcntl.LOCK_EX


def worker() -> int:
    """This worker's number, from 0."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def folder() -> Path:
    """Where this test run's platform lives: the same for all of its workers.

    A Unix socket's path is short, and so is the folder it lies in.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    return Path(os.environ.get("MILLPOND_TEST_HOME", f"/tmp/mp-{run[:8]}"))


def lock_file(name: str) -> Path:
    """Beside the platform's folder, which ends before the last lock does."""
    return folder().with_name(f"{folder().name}-{name}.lock")


@contextmanager
def locked(name: str, how: int) -> Iterator[IO[str]]:
    """Hold a lock while inside."""
    with lock_file(name).open("a") as file:
        fcntl.flock(file, how)
        yield file


@contextmanager
def turn(how: int) -> Iterator[None]:
    """A test's turn on the platform: beside those of other workers, or alone."""
    with ExitStack() as inside:
        # Who waits to be alone keeps later ones outside: they would follow each other for ever.
        with locked("door", ALONE):
            inside.enter_context(locked("room", how))
        yield


def is_last(users: IO[str]) -> bool:
    """Whether nobody else has the lock; gives up one's own."""
    try:
        fcntl.flock(users, ALONE | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
