"""PostgreSQL as the platform has it, and nothing else of the platform; a customer service."""

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tenacity import retry, retry_if_result, stop_after_delay, wait_fixed

from millpond.catalog.settings import Settings
from millpond.cluster import postgres, processes
from millpond.interactions.ledger import Ledger
from tests.ledger.posting import Posting
from tests.ledger.reference import Reference
from tests.ledger.world import empty


@pytest.fixture(scope="session")
def ledger_url() -> Iterator[str]:
    """Where a server has a ledger, for these tests alone."""
    # A Unix socket's path is short, and so is the folder it lies in.
    with tempfile.TemporaryDirectory(prefix="mp-", dir="/tmp") as folder:
        home = Path(folder)
        settings = Settings.from_env({"MILLPOND_HOME": folder})
        postgres.initialise(settings)
        log = home / "logs" / "postgres.log"
        processes.start("postgres", home, postgres.server_command(settings), {}, log)
        try:
            wait_for_postgres(settings)
            postgres.create_ledger(settings)
            yield settings.ledger_url
        finally:
            processes.stop("postgres", home, signal.SIGINT)


@retry(
    retry=retry_if_result(lambda why: why is not None),
    wait=wait_fixed(0.1),
    stop=stop_after_delay(60),
)
def wait_for_postgres(settings: Settings) -> str | None:
    return postgres.why_not_answering(settings)


@pytest.fixture
def ledger(ledger_url: str) -> Ledger:
    """The ledger, with nothing in it but what was ever sealed."""
    found = Ledger(ledger_url)
    empty(found)
    return found


@pytest.fixture
def reference(tmp_path: Path) -> Iterator[Reference]:
    """A reference service that has heard nothing."""
    with Reference(tmp_path / "requests.jsonl") as found:
        yield found


@pytest.fixture
def posting(ledger: Ledger, ledger_url: str, reference: Reference) -> Iterator[Posting]:
    """An empty ledger and a service that has heard nothing, and posters between them."""
    found = Posting(ledger, ledger_url, reference)
    yield found
    for process in found.processes:  # of a test that failed
        process.kill()
        process.wait()
