"""PostgreSQL as the platform has it, in a folder of its own: a test may kill it."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from millpond.catalog.settings import Settings
from millpond.cluster import postgres, processes
from tests.waiting import until


class Server:
    """A server that has an empty ledger."""

    def __init__(self, home: Path) -> None:
        self.settings = Settings.from_env({"MILLPOND_HOME": str(home)})
        postgres.initialise(self.settings)

    @property
    def url(self) -> str:
        """Where the ledger is."""
        return self.settings.ledger_url

    def start(self) -> None:
        """Start it, and wait until it answers."""
        home, command = self.settings.home, postgres.server_command(self.settings)
        processes.start("postgres", home, command, {}, home / "logs" / "postgres.log")
        until(lambda: postgres.why_not_answering(self.settings) is None)

    def kill(self) -> None:
        """End all its processes at once, as a power cut would."""
        all_of_it = [each.process for each in processes.marked(self.settings.home)]
        for process in all_of_it:
            process.kill()
        psutil.wait_procs(all_of_it, 10)

    def stop(self) -> None:
        """End it gently."""
        processes.stop("postgres", self.settings.home, signal.SIGINT)

    def query(self, sql: str) -> str:
        """What a query of the superuser gives."""
        return postgres.query(self.settings, sql)


@contextmanager
def server() -> Iterator[Server]:
    """One that runs while the block lasts."""
    # A Unix socket's path is short, and so is the folder it lies in.
    with tempfile.TemporaryDirectory(prefix="mp-", dir="/tmp") as folder:
        running = Server(Path(folder))
        try:
            running.start()
            postgres.create_ledger(running.settings)
            yield running
        finally:
            running.stop()
