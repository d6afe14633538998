"""PostgreSQL dies, all of it at once, while the ledger is written; then it is started again.

It is a server of these tests' own, so that nobody else's dies.
"""

import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from millpond.catalog.settings import Settings
from millpond.errors import MillpondError
from millpond.interactions.apply import apply
from millpond.interactions.counted import CountedHour
from millpond.interactions.ledger import Ledger
from millpond.interactions.schema import CUSTOMER
from tests.history import first_violation, read_history
from tests.ledger.postgresql import Server, server
from tests.ledger.posting import Posting
from tests.ledger.world import EARLY, ONE, TWO, contributions, counted, totals, versions
from tests.waiting import HANGS_SECONDS, until

COUNTS = {str(n): n + 1 for n in range(600)}
TRUTH: dict[str, Any] = {"hours": {str(ONE): {"counts": COUNTS, "anonymous": [], "quarantined": 0}}}


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    with server() as running:
        yield running


@pytest.fixture(scope="module")
def ledger_url(mortal: Server) -> str:
    return mortal.url


@pytest.fixture
def settings(ledger_url: str, tmp_path: Path) -> Settings:
    return Settings.from_env({"MILLPOND_LEDGER_URL": ledger_url, "MILLPOND_HOME": str(tmp_path)})


def confirm_no_commit(mortal: Server) -> None:
    """From now on a commit is on the disk, and whoever asked for it never hears of it.

    It waits for a standby that does not exist.
    """
    mortal.query("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    mortal.query("SELECT pg_reload_conf()")


def start_again(mortal: Server) -> None:
    mortal.start()
    mortal.query("ALTER SYSTEM RESET synchronous_standby_names")
    mortal.query("SELECT pg_reload_conf()")


def wait_for(mortal: Server, event: str) -> None:
    """Wait until somebody in the ledger waits for something."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'ledger' AND wait_event ="
    until(lambda: mortal.query(f"{waiting} '{event}'") != "0")


def check(posting: Posting, settings: Settings) -> None:
    """Everything is delivered, nothing is lost, nothing contradicts anything."""
    posting.drain()
    posting.check()
    assert first_violation(read_history(settings, TRUTH, posting.reference.requests)) is None
    assert posting.reference.counts == COUNTS


def poster_under_way(posting: Posting) -> subprocess.Popen[bytes]:
    """A poster that has sent a part of an hour."""
    apply(posting.ledger, counted(ONE, COUNTS))
    posting.reference.faults({"seconds": 0.05, "times": 0})
    poster = posting.process()
    until(lambda: len(posting.reference.requests) > 50)
    return poster


@pytest.mark.case(12)
def test_what_a_poster_was_sending_is_delivered(
    mortal: Server, posting: Posting, settings: Settings
) -> None:
    poster = poster_under_way(posting)
    mortal.kill()
    assert poster.wait(HANGS_SECONDS) == 1
    start_again(mortal)
    assert len(posting.reference.requests) < len(COUNTS)
    check(posting, settings)


@pytest.mark.case(12)
def test_what_a_poster_claimed_without_hearing_of_it_is_delivered(
    mortal: Server, posting: Posting, settings: Settings
) -> None:
    poster = poster_under_way(posting)
    confirm_no_commit(mortal)
    wait_for(mortal, "SyncRep")
    mortal.kill()
    assert poster.wait(HANGS_SECONDS) == 1
    start_again(mortal)
    assert any(attempt.outcome is None for attempt in posting.attempts())
    check(posting, settings)


@pytest.fixture
def applied(ledger: Ledger) -> CountedHour:
    """An hour that is applied, and another that a test applies."""
    apply(ledger, counted(ONE, {"1": 1, "2": 2}, {EARLY: 4}))
    return counted(TWO, {"1": 10, "3": 30}, {EARLY: 40})


def check_applied(ledger: Ledger, hour: CountedHour, *, was_there: bool) -> None:
    """The hour was wholly there or not at all; applied again, it counts once."""
    whole = {"id:1": 10, "id:3": 30, EARLY.identity: 40}
    assert contributions(ledger, TWO) == (whole if was_there else {})
    assert totals(ledger) == ({"1": 1 + 10, "2": 2, "3": 30} if was_there else {"1": 1, "2": 2})
    apply(ledger, hour)
    assert contributions(ledger, TWO) == whole
    assert totals(ledger) == {"1": 1 + 10, "2": 2, "3": 30}
    assert versions(ledger) == {"1": 2, "2": 1, "3": 1}


def killed_while(mortal: Server, event: str, applying: "Future[int]") -> None:
    """Kill the server as soon as an apply waits for something."""
    wait_for(mortal, event)
    mortal.kill()
    with pytest.raises(MillpondError, match="does not answer"):
        applying.result(30)
    start_again(mortal)


@pytest.mark.case(12)
def test_an_hour_that_was_not_committed_is_not_there(
    mortal: Server, ledger: Ledger, applied: CountedHour
) -> None:
    locked = sa.select(CUSTOMER).where(CUSTOMER.c.customer_id == "1").with_for_update()

    def hold() -> None:
        with ThreadPoolExecutor(1) as pool, ledger.transaction() as other:
            other.execute(locked)  # contributions are written by the time apply comes to it
            killed_while(mortal, "transactionid", pool.submit(apply, ledger, applied))

    with pytest.raises(MillpondError, match="does not answer"):
        hold()
    check_applied(ledger, applied, was_there=False)


@pytest.mark.case(12)
def test_an_hour_whose_commit_was_not_heard_of_is_there(
    mortal: Server, ledger: Ledger, applied: CountedHour
) -> None:
    confirm_no_commit(mortal)
    with ThreadPoolExecutor(1) as pool:
        killed_while(mortal, "SyncRep", pool.submit(apply, ledger, applied))
    check_applied(ledger, applied, was_there=True)


@pytest.mark.case(12)
def test_a_server_that_dies_as_the_hour_is_brought_is_named(
    mortal: Server, ledger: Ledger, applied: CountedHour
) -> None:
    class Deadly(dict[str, int]):
        def items(self) -> Any:
            mortal.kill()
            return super().items()

    deadly = replace(applied, customers=Deadly(applied.customers))
    with pytest.raises(MillpondError, match="does not answer"):
        apply(ledger, deadly)
    start_again(mortal)
    check_applied(ledger, applied, was_there=False)
