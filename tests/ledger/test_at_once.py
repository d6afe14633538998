"""Two who change the ledger at once: the second acts between two statements of the first."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from millpond.interactions.apply import JUDGE, MOVE, apply
from millpond.interactions.erase import mark_erased
from millpond.interactions.ledger import Ledger
from millpond.interactions.resolve import Found, resolve
from tests.ledger.test_resolve import names_of
from tests.ledger.world import ONE, OTHER, THREE, TWO, answer, counted, states, totals
from tests.waiting import until

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


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
            until(lambda: not actors[0].is_alive() or is_waiting())

    def is_waiting() -> bool:
        with Ledger(ledger._url).transaction() as database:
            return bool(database.scalar(sa.text(WAITING)))

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
