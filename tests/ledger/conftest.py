"""PostgreSQL as the platform has it, and nothing else of the platform; a customer service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from millpond.interactions.ledger import Ledger
from tests.ledger.postgresql import server
from tests.ledger.posting import Posting
from tests.ledger.reference import Reference
from tests.ledger.world import empty


@pytest.fixture(scope="session")
def ledger_url() -> Iterator[str]:
    """Where a server has a ledger, for these tests alone."""
    with server() as running:
        yield running.url


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
