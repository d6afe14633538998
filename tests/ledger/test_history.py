"""Hours from made-up messages to the service's counts, and the history of that."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from millpond.catalog.settings import Settings
from millpond.interactions.apply import apply
from millpond.interactions.counted import CountedHour, Names, keys_of
from millpond.interactions.identities import customer_id
from millpond.interactions.ledger import Ledger
from millpond.interactions.post import Poster
from millpond.interactions.resolve import asking, register, resolve
from millpond.interactions.schema import CUSTOMER
from tests.history import first_violation, read_history
from tests.ledger.posting import PACE
from tests.ledger.reference import Reference
from tests.ledger.world import FIVE, FOUR, THREE

# As `millpond interactions produce` writes it; the last of each person is the count.
TRUTH: dict[str, Any] = {
    "hours": {
        str(THREE): {
            "counts": {"1": 3, '"Zo\\u00e9"': 2},
            "anonymous": [["Lefèvre", "Zoé", None, "Paris", 2], ["Lefèvre", "Zoé", None, None, 3]],
            "quarantined": 1,
        },
        str(FOUR): {
            "counts": {"1": 4},
            "anonymous": [
                ["Martin", "Paul", "1981-02-03", None, 5],
                ["Martin", "Paul", "1990-12-31", None, 6],
            ],
            "quarantined": 0,
        },
        str(FIVE): {
            "counts": {},
            "anonymous": [["LEFÈVRE ", "Zoé", None, None, 7]],
            "quarantined": 0,
        },
    }
}


@pytest.fixture
def settings(ledger_url: str, tmp_path: Path) -> Settings:
    return Settings.from_env({"MILLPOND_LEDGER_URL": ledger_url, "MILLPOND_HOME": str(tmp_path)})


def run(settings: Settings, ledger: Ledger, reference: Reference) -> None:
    """What the DAG does, an hour after the other."""
    keys = keys_of(settings)
    names: dict[str, Names] = {}
    for n, hour in enumerate((THREE, FOUR, FIVE), start=1):
        told = TRUTH["hours"][str(hour)]
        customers = {customer_id(id_): n for id_, n in told["counts"].items()}
        persons = Counter[Any]()
        for last_name, first_name, born, _, times in told["anonymous"]:
            person = keys.person(last_name, first_name, born)
            persons[person] += times
            names[person.identity] = Names(first_name, last_name)
        rows = sum(customers.values()) + persons.total() + told["quarantined"]
        register(ledger, hour, persons)
        resolve(ledger, asking(reference.service()), lambda _: names)
        apply(ledger, CountedHour(hour, n, rows, told["quarantined"], customers, persons))
        assert Poster(ledger, reference.service(), 30, PACE).run()["pending"] == 0


def test_what_was_sent_is_what_the_service_has(
    settings: Settings, ledger: Ledger, reference: Reference
) -> None:
    run(settings, ledger, reference)
    history = read_history(settings, TRUTH, reference.requests)
    assert first_violation(history) is None
    assert sorted(reference.counts.values()) == sorted([3 + 4, 2, (2 + 3) + 7])
    later = {"hours": {**TRUTH["hours"], str(FOUR): {**TRUTH["hours"][str(FOUR)], "counts": {}}}}
    found = first_violation(read_history(settings, later, reference.requests))
    assert found is not None
    assert found.what == f"{FOUR}: 0 of id:1 were sent, and 4 contribute"


def test_a_count_that_somebody_else_posted_is_found(
    settings: Settings, ledger: Ledger, reference: Reference
) -> None:
    run(settings, ledger, reference)
    reference.service().post_count("1", 3 + 4, "by hand", float("inf"))
    found = first_violation(read_history(settings, TRUTH, reference.requests))
    assert found is not None
    assert (found.invariant, found.what) == (
        6,
        "the service saw 7 of customer 1 1 times more than was planned",
    )


def test_a_service_that_forgot_is_found(
    settings: Settings, ledger: Ledger, reference: Reference
) -> None:
    run(settings, ledger, reference)
    with ledger.transaction() as database:
        opened = sa.update(CUSTOMER).where(CUSTOMER.c.customer_id == "1")
        database.execute(opened.values(opening=1, total=CUSTOMER.c.total + 1))
    history = read_history(settings, TRUTH, reference.requests)
    found = first_violation(history)
    assert found is not None
    assert (found.invariant, found.what) == (
        2,
        "the service has 7 of customer 1, and should have 8",
    )
    assert first_violation(replace(history, openings={})) is None
