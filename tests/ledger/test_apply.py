"""Totals on the real PostgreSQL, held against plain Python that computes them anew."""

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.errors import MillpondError, SupersededError
from millpond.interactions.apply import apply, decide
from millpond.interactions.counted import CountedHour
from millpond.interactions.identities import Person
from millpond.interactions.ledger import Ledger
from millpond.interactions.schema import APPLIED_HOUR, CONTRIBUTION, CUSTOMER
from tests.ledger.world import (
    EARLY,
    FIVE,
    HOURS,
    LATE,
    ONE,
    OTHER,
    PERSONS,
    TWO,
    UNDATED,
    Oracle,
    answer,
    changes,
    contributions,
    counted,
    empty,
    states,
    totals,
    versions,
)

IDS = ("1", '"1"', "2")
AMOUNTS = st.integers(1, 5)
Step = Callable[[Ledger, Oracle], None]

STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(
        lambda hour, ids, persons: lambda ledger, o: o.apply(ledger, counted(hour, ids, persons)),
        st.sampled_from(HOURS[:3]),
        st.dictionaries(st.sampled_from(IDS), AMOUNTS),
        st.dictionaries(st.sampled_from(PERSONS), AMOUNTS),
    ),
    st.builds(
        lambda of, id_: lambda ledger, oracle: oracle.answer(ledger, of, id_),
        st.sampled_from(PERSONS),
        st.sampled_from(IDS),
    ),
    st.builds(
        lambda of, id_: lambda ledger, oracle: oracle.decide(ledger, of, id_),
        st.sampled_from(PERSONS),
        st.sampled_from(IDS),
    ),
)


@settings(max_examples=40)
@given(steps=st.lists(STEPS, min_size=1, max_size=12))
def test_after_every_step_the_totals_are_those_computed_anew(
    ledger: Ledger, steps: list[Step]
) -> None:
    empty(ledger)
    oracle = Oracle()
    for step in steps:
        before = totals(ledger), versions(ledger)
        step(ledger, oracle)
        after = totals(ledger), versions(ledger)
        assert after[0] == oracle.totals()
        for id_, version in after[1].items():
            has_changed = after[0].get(id_, 0) != before[0].get(id_, 0)
            assert version == before[1].get(id_, 0) + has_changed
    for hour, applied in oracle.hours.items():
        by_id = {f"id:{id_}": n for id_, n in applied.customers.items()}
        by_person = {of.identity: n for of, n in applied.persons.items()}
        assert contributions(ledger, hour) == by_id | by_person


FIVE_HOURS = [
    counted(HOURS[0], {"1": 1, "2": 5}, {EARLY: 10}),
    counted(HOURS[1], {"1": 2}, {UNDATED: 20}),
    counted(HOURS[2], {'"1"': 3}, {EARLY: 40, OTHER: 100}),
    counted(HOURS[3], {"1": 4}, {}),
    counted(HOURS[4], {"2": 5}, {LATE: 80, OTHER: 200}),
]
ANSWERS = {EARLY: "7", UNDATED: "7", LATE: "7", OTHER: "2"}
# Dupont has two birth dates, so of the persons Martin alone has a customer.
FIVE_HOURS_MAKE = {"1": 1 + 2 + 4, '"1"': 3, "2": 5 + 5 + 100 + 200}


def run(ledger: Ledger, hour: CountedHour) -> None:
    """An hour as the DAG runs it: who is known by then is asked for, and answered, before apply."""
    for of, customer_id in ANSWERS.items():
        answer(ledger, of, customer_id)
    apply(ledger, hour)


@given(order=st.permutations(FIVE_HOURS))
def test_hours_in_any_order_make_the_same_totals(ledger: Ledger, order: list[CountedHour]) -> None:
    empty(ledger)
    for hour in (*order, *order):
        run(ledger, hour)
    assert totals(ledger) == FIVE_HOURS_MAKE
    again = versions(ledger)
    for hour in order:
        run(ledger, hour)
    assert versions(ledger) == again  # what has not changed is not posted


def test_hours_at_once_make_the_same_totals(ledger: Ledger) -> None:
    start = threading.Barrier(2)

    def all_of(order: list[CountedHour]) -> None:
        start.wait()
        for hour in order:
            run(ledger, hour)

    with ThreadPoolExecutor(2) as both:
        orders = [FIVE_HOURS, FIVE_HOURS[::-1]]
        list(both.map(all_of, orders))
    for hour in FIVE_HOURS:
        run(ledger, hour)
    assert totals(ledger) == FIVE_HOURS_MAKE


@pytest.mark.parametrize("order", [*itertools.permutations((EARLY, LATE, UNDATED))])
def test_homonyms_are_withdrawn_whoever_comes_first(
    ledger: Ledger, order: tuple[Person, ...]
) -> None:
    for hour, of in zip(HOURS, order, strict=False):
        apply(ledger, counted(hour, {}, {of: 10}))
        answer(ledger, of, "7")
    apply(ledger, counted(FIVE, {"7": 3}))
    assert set(states(ledger).values()) == {"homonym"}
    assert totals(ledger) == {"7": 3}


def test_the_homonym_that_comes_withdraws_the_earlier_one_in_the_same_apply(ledger: Ledger) -> None:
    apply(ledger, counted(ONE, {"7": 1}, {EARLY: 10, UNDATED: 20}))
    answer(ledger, EARLY, "7")
    answer(ledger, UNDATED, "7")
    apply(ledger, counted(ONE, {"7": 1}, {EARLY: 10, UNDATED: 20}))
    assert totals(ledger) == {"7": 1 + 10 + 20}
    apply(ledger, counted(TWO, {}, {LATE: 40}))
    assert totals(ledger) == {"7": 1}
    assert changes(ledger, TWO) == {"7": 3}


def test_a_decision_by_hand_is_not_undone(ledger: Ledger) -> None:
    apply(ledger, counted(ONE, {}, {EARLY: 10, LATE: 20}))
    assert decide(ledger, EARLY.identity, "7") == 1
    assert changes(ledger, ONE) == {"7": 1}  # so that its post is answered for
    apply(ledger, counted(TWO, {}, {EARLY: 1, LATE: 2, UNDATED: 4}))
    assert totals(ledger) == {"7": 10 + 1}
    decide(ledger, EARLY.identity, "8")  # another decision may
    assert totals(ledger) == {"8": 10 + 1}


@pytest.mark.parametrize("identity", [EARLY.identity, "id:1", "person:nobody"])
def test_only_a_person_of_the_ledger_is_decided(ledger: Ledger, identity: str) -> None:
    apply(ledger, counted(ONE, {"1": 1}))
    with pytest.raises(MillpondError, match=f"the ledger has no person {re.escape(identity)};"):
        decide(ledger, identity, "7")


def test_counts_older_than_those_applied_are_refused(ledger: Ledger) -> None:
    older, newer = counted(ONE, {"1": 1}), counted(ONE, {"1": 2})
    apply(ledger, newer)
    with pytest.raises(SupersededError, match="is older than the one that is applied; the totals"):
        apply(ledger, older)
    assert totals(ledger) == {"1": 2}


def test_what_the_service_may_not_have_gets_a_new_version(ledger: Ledger) -> None:
    apply(ledger, counted(ONE, {"1": 1, "2": 2}))
    with ledger.transaction() as database:
        database.execute(sa.update(CUSTOMER).values(is_doubtful=True))
    assert apply(ledger, counted(TWO, {"2": 3})) == 2
    assert versions(ledger) == {"1": 2, "2": 2}
    assert changes(ledger, TWO) == {"1": 2, "2": 2}
    assert totals(ledger) == {"1": 1, "2": 2 + 3}
    apply(ledger, counted(TWO, {"2": 3}))
    assert versions(ledger) == {"1": 2, "2": 2}  # once


def test_an_hour_is_applied_whole_or_not_at_all(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(point: str) -> None:
        raise MillpondError(point)

    apply(ledger, counted(ONE, {"1": 1}, {EARLY: 1}))
    with monkeypatch.context() as patched:
        patched.setattr("millpond.interactions.apply.crash_point", fail)
        with pytest.raises(MillpondError, match="applying"):
            apply(ledger, counted(TWO, {"1": 1, "2": 1}, {LATE: 1}))
    assert totals(ledger) == {"1": 1}
    assert contributions(ledger, TWO) == {}
    assert set(states(ledger)) == {EARLY.identity}
    with ledger.transaction() as database:
        assert database.scalar(sa.select(sa.func.count()).select_from(APPLIED_HOUR)) == 1


@pytest.mark.parametrize(("point", "hours"), [("applying", 0), ("applied", 1)])
def test_a_kill_leaves_the_hour_whole_or_not_there(
    ledger: Ledger, ledger_url: str, point: str, hours: int
) -> None:
    script = (
        "import sys; from millpond.interactions.apply import apply; "
        "from millpond.interactions.ledger import Ledger; "
        "from tests.ledger.world import EARLY, ONE, counted; "
        "apply(Ledger(sys.argv[1]), counted(ONE, {'1': 1}, {EARLY: 2}))"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, ledger_url],
        env={**os.environ, "MILLPOND_CRASH_AT": point},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert contributions(ledger, ONE) == ({"id:1": 1, EARLY.identity: 2} if hours else {})
    assert sum(totals(ledger).values()) == hours * 1
    apply(ledger, counted(ONE, {"1": 1}, {EARLY: 2}))
    assert totals(ledger) == {"1": 1}
    assert versions(ledger) == {"1": 1}


def test_a_connection_that_breaks_in_the_middle_leaves_the_totals_as_they_were(
    ledger: Ledger, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply(ledger, counted(ONE, {"1": 1}))

    def end_all_others(_: str) -> None:
        others = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        )
        with Ledger(ledger_url).transaction() as database:
            database.execute(sa.text(f"{others} AND datname = current_database()"))

    with monkeypatch.context() as patched:
        patched.setattr("millpond.interactions.apply.crash_point", end_all_others)
        with pytest.raises(MillpondError, match="does not answer"):
            apply(ledger, counted(TWO, {"1": 10}))
    assert totals(ledger) == {"1": 1}


def test_an_empty_hour_is_applied(ledger: Ledger) -> None:
    assert apply(ledger, counted(ONE)) == 0
    assert apply(ledger, replace(counted(ONE, {"1": 1}), rows=3, quarantined=2)) == 1


def test_any_id_is_stored_as_it_is(ledger: Ledger) -> None:
    ids = ['"a,b"', r'"\"\\N\\."', '"Zoé\t"', r'"\n"', '"%s :hour"', "-1"]
    apply(ledger, counted(ONE, dict.fromkeys(ids, 1)))
    assert totals(ledger) == dict.fromkeys(ids, 1)


def test_nothing_of_a_name_is_in_the_ledger(ledger: Ledger) -> None:
    apply(ledger, counted(ONE, {}, {EARLY: 1}))
    with ledger.transaction() as database:
        texts = [
            database.scalar(sa.text(f"SELECT coalesce(string_agg(t::text, ''), '') FROM {name} t"))
            for name in ("identity", CONTRIBUTION.name, "customer")
        ]
    assert not re.search("dupont|zoé|1981", "".join(map(str, texts)), re.IGNORECASE)
