"""Two who change the ledger at once: the second acts between two statements of the first."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from millpond.interactions import attempts
from millpond.interactions.apply import JUDGE, MOVE, apply
from millpond.interactions.attempts import Ended
from millpond.interactions.deadletters import retry_dead_letters
from millpond.interactions.erase import mark_erased
from millpond.interactions.ledger import Ledger
from millpond.interactions.resolve import Found, resolve
from millpond.interactions.schema import CUSTOMER
from millpond.interactions.service import Answer, Outcome
from tests.ledger.posting import Posting
from tests.ledger.test_resolve import names_of
from tests.ledger.world import ONE, OTHER, THREE, TWO, answer, counted, states, totals
from tests.waiting import until


def waiting(ledger: Ledger) -> int:
    """How many wait for a lock."""
    with Ledger(ledger._url).transaction() as database:
        return database.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")) or 0


@pytest.fixture
def other(ledger: Ledger, ledger_url: str) -> Ledger:
    """The same ledger as another process has it."""
    return Ledger(ledger_url)


@contextmanager
def just_before(ledger: Ledger, text: str, act: Callable[[], object]) -> Iterator[None]:
    """Have another act, to its end or as far as it comes, before a statement of `ledger`."""
    actors: list[threading.Thread] = []

    def begin(_: Any, __: Any, statement: str, *___: Any) -> None:
        if not actors and text.strip()[:40] in statement:
            actors.append(threading.Thread(target=act))
            actors[0].start()
            until(lambda: not actors[0].is_alive() or waiting(ledger))

    sa.event.listen(ledger._engine, "before_cursor_execute", begin)
    try:
        yield
    finally:
        sa.event.remove(ledger._engine, "before_cursor_execute", begin)
        for actor in actors:
            actor.join()
    assert actors


def test_an_answer_that_comes_while_an_hour_is_applied_counts_from_the_next_one(
    ledger: Ledger, other: Ledger
) -> None:
    apply(ledger, counted(ONE, {}, {OTHER: 2}))

    def resolve_beside() -> None:
        resolve(other, lambda first, last: Found("8", first, last), names_of)

    with just_before(ledger, JUDGE, resolve_beside):
        apply(ledger, counted(TWO, {"1": 1}))
    assert totals(ledger) == {"1": 1}
    apply(ledger, counted(THREE))
    assert totals(ledger) == {"1": 1, "8": 2}


def test_who_gets_a_customer_while_being_erased_keeps_it(ledger: Ledger, other: Ledger) -> None:
    apply(ledger, counted(ONE, {}, {OTHER: 2}))
    answer(ledger, OTHER, "8")
    with just_before(ledger, MOVE, lambda: mark_erased(other, frozenset({OTHER.identity}))):
        apply(ledger, counted(TWO))
    assert states(ledger) == {OTHER.identity: "resolved"}
    apply(ledger, counted(THREE, {}, {OTHER: 1}))
    assert totals(ledger) == {"8": 2 + 1}


def test_a_poster_that_wakes_up_late_and_its_successor_do_not_wait_for_each_other(
    posting: Posting, other: Ledger
) -> None:
    posting.total(["1"])
    with posting.ledger.transaction() as database:
        first = attempts.next_epoch(database)
        [claimed] = attempts.claim(database, first, limit=1, seconds=0, send_until=0)
        attempts.mark_sent(database, [claimed])
    with other.transaction() as database:
        second = attempts.next_epoch(database)

    def close_beside() -> None:
        with other.transaction() as database:
            closed.extend(attempts.close_earlier(database, second))

    closed: list[str] = []
    with (
        just_before(posting.ledger, "WITH closed AS", close_beside),
        posting.ledger.transaction() as database,
    ):
        attempts.record(database, [Ended(claimed, Answer(Outcome.ACK, 200))])
    assert closed == []
    assert posting.outcomes() == {"ack": 1}


def test_dead_letters_are_sent_again_while_an_hour_is_applied(
    ledger: Ledger, other: Ledger
) -> None:
    apply(ledger, counted(ONE, {"1": 1, "2": 1}))
    for customer in ("2", "1"):  # which is now the order in which the table has them
        dead = sa.update(CUSTOMER).where(CUSTOMER.c.customer_id == customer)
        with ledger.transaction() as database:
            database.execute(dead.values(dead_version=1))
    with ThreadPoolExecutor() as pool:
        with ledger.transaction() as database:  # somebody who keeps the first of them for a while
            database.execute(
                sa.select(CUSTOMER).where(CUSTOMER.c.customer_id == "1").with_for_update()
            )
            applying = pool.submit(apply, ledger, counted(TWO, {"1": 1, "2": 1}))
            until(lambda: waiting(ledger) == 1)
            retrying = pool.submit(retry_dead_letters, other)
            until(lambda: waiting(ledger) == 2)
        assert applying.result() == 2
        assert retrying.result() == 0  # both have a newer version, which is sent anyway
