"""What a person can ask of the ledger and tell it, without HDFS."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from millpond.cli import main
from millpond.interactions.apply import apply, decide
from millpond.interactions.audit import compare_hour, compare_totals
from millpond.interactions.erase import mark_erased, persons_of
from millpond.interactions.ledger import Ledger
from millpond.interactions.schema import ATTEMPT, CUSTOMER, POSTER
from millpond.lake.receipts import Receipt
from tests.ledger.world import (
    EARLY,
    LATE,
    ONE,
    OTHER,
    TWO,
    answer,
    counted,
    states,
    totals,
    versions,
)
from tests.receipts import RECEIPT


@pytest.fixture
def millpond(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """`millpond interactions ...`: the exit code, standard output and standard error."""
    monkeypatch.setenv("MILLPOND_LEDGER_URL", ledger_url)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["millpond", "interactions", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.run()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def balances(tmp_path: Path) -> Callable[[str], str]:
    """A CSV file of opening balances; its path."""

    def write(text: str) -> str:
        (file := tmp_path / "balances.csv").write_text(text)
        return str(file)

    return write


def test_totals_begin_with_the_opening_balances(
    ledger: Ledger, millpond: Run, balances: Callable[[str], str]
) -> None:
    file = balances('customer_id,interactions\n12,34\n"""c-1""",5\n')
    assert millpond("opening", file)[::2] == (0, "taken: 2 opening balances\n")
    assert totals(ledger) == {"12": 34, '"c-1"': 5}
    assert set(versions(ledger).values()) == {0}  # nothing is to be posted
    apply(ledger, counted(ONE, {"12": 1, "13": 1}))
    assert totals(ledger) == {"12": 34 + 1, "13": 1, '"c-1"': 5}
    assert versions(ledger) == {"12": 1, "13": 1, '"c-1"': 0}


def test_another_file_takes_the_place_of_the_first(
    ledger: Ledger, millpond: Run, balances: Callable[[str], str]
) -> None:
    millpond("opening", balances("customer_id,interactions\n12,34\n13,1\n"))
    millpond("opening", balances("customer_id,interactions\n13,2\n14,3\n"))
    assert totals(ledger) == {"13": 2, "14": 3}
    millpond("opening", balances("customer_id,interactions\n"))
    assert totals(ledger) == {}


def test_opening_balances_come_before_the_first_apply(
    ledger: Ledger, millpond: Run, balances: Callable[[str], str]
) -> None:
    apply(ledger, counted(ONE, {"12": 1}))
    code, _, said = millpond("opening", balances("customer_id,interactions\n12,34\n"))
    assert (code, totals(ledger)) == (1, {"12": 1})
    assert "opening balances come before the first hour that is applied" in said


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"balances.csv does not begin with customer_id,interactions; give"),
        ("12,34\n", r"does not begin with customer_id,interactions"),
        ("customer_id,interactions\n12\n", r"line 2 of .* has 1 fields and not 2"),
        ("customer_id,interactions\n12,1\nc-1,5\n", r"line 3 of .*: c-1 is no customer's id"),
        ("customer_id,interactions\n12,-1\n", r"line 2 of .* has '-1' interactions; give a whole"),
        ("customer_id,interactions\n12,1.5\n", r"line 2 of .* has '1.5' interactions"),
        (f"customer_id,interactions\n12,{2**63}\n", r"line 2 of .* interactions; give a whole"),
        ("customer_id,interactions\n12,1\n 12,2\n", r"line 3 of .* has 12 a second time"),
        ('customer_id,interactions\n"12,1\n', r"is no CSV in UTF-8: .*; save it"),
    ],
)
def test_a_file_that_is_wrong_changes_nothing(
    ledger: Ledger,
    millpond: Run,
    balances: Callable[[str], str],
    text: str,
    sentence: str,
) -> None:
    code, _, said = millpond("opening", balances(text))
    assert code == 10
    assert re.search(sentence, said)
    assert totals(ledger) == {}


def test_persons_that_wait_are_listed_without_names(ledger: Ledger, millpond: Run) -> None:
    apply(ledger, counted(ONE, {"1": 1}, {EARLY: 10, LATE: 20, OTHER: 1}))
    apply(ledger, counted(TWO, {}, {EARLY: 20}))
    _, listed, _ = millpond("resolve", "--format", "json")
    rows = json.loads(listed)
    assert [(row["identity"], row["state"], row["interactions"]) for row in rows] == [
        (EARLY.identity, "homonym", 10 + 20),
        (LATE.identity, "homonym", 20),
        (OTHER.identity, "open", 1),
    ]
    assert rows[0]["last_hour"] == str(TWO)


def test_a_person_is_decided_by_hand(ledger: Ledger, millpond: Run) -> None:
    apply(ledger, counted(ONE, {}, {EARLY: 10, LATE: 20}))
    code, _, said = millpond("resolve", EARLY.identity, '"c-7"')
    assert (code, said) == (0, "decided; that changed 1 total\n")
    assert totals(ledger) == {'"c-7"': 10}
    code, _, said = millpond("resolve", LATE.identity, "c-7")
    assert code == 1
    assert "c-7 is no customer's id; give a whole number such as 12" in said
    code, _, said = millpond("resolve", "person:unknown")
    assert code == 1
    assert "the ledger has no person person:unknown" in said


def reject(ledger: Ledger, customer_id: str) -> None:
    """Have the service have rejected a customer's newest total."""
    with ledger.transaction() as database:
        epoch = database.scalar(sa.insert(POSTER).returning(POSTER.c.epoch))
        values = {"customer_id": customer_id, "version": 1, "n": 1, "epoch": epoch}
        ended = {"outcome": "reject", "status": 422, "ended_at": sa.func.now()}
        database.execute(sa.insert(ATTEMPT).values(**values, **ended, deadline=sa.func.now()))
        of_customer = sa.update(CUSTOMER).where(CUSTOMER.c.customer_id == customer_id)
        database.execute(of_customer.values(dead_version=1))


def test_dead_letters_are_listed_and_sent_again(ledger: Ledger, millpond: Run) -> None:
    apply(ledger, counted(ONE, {"1": 1, "2": 1, "3": 1}))
    reject(ledger, "2")
    reject(ledger, "3")
    apply(ledger, counted(TWO, {"3": 1}))  # its new version is sent anyway
    [row] = json.loads(millpond("dead-letters", "--format", "json")[1])
    assert {row[name] for name in ("customer_id", "status")} == {"2", 422}
    said = millpond("dead-letters", "retry")[2]
    assert said == "1 total will be sent again by the next post\n"
    assert json.loads(millpond("dead-letters", "--format", "json")[1]) == []


def test_who_is_erased_is_the_person_or_those_who_are_the_customer(ledger: Ledger) -> None:
    apply(ledger, counted(ONE, {"7": 1}, {EARLY: 10, OTHER: 20}))
    assert persons_of(ledger, "7") == set()
    decide(ledger, EARLY.identity, "7")
    assert persons_of(ledger, "7") == {EARLY.identity}
    assert persons_of(ledger, OTHER.identity) == {OTHER.identity}


def test_an_erased_person_is_not_asked_for_and_keeps_the_customer(ledger: Ledger) -> None:
    apply(ledger, counted(ONE, {}, {EARLY: 10, OTHER: 20}))
    decide(ledger, EARLY.identity, "7")
    answer(ledger, OTHER, "8")
    mark_erased(ledger, frozenset({EARLY.identity, OTHER.identity}))
    assert states(ledger) == {EARLY.identity: "decided", OTHER.identity: "erased"}
    apply(ledger, counted(TWO, {}, {OTHER: 1}))
    assert totals(ledger) == {"7": 10}


def test_nobody_is_erased_whom_the_ledger_does_not_know(ledger: Ledger, millpond: Run) -> None:
    for who in ("person:1", "12"):
        code, _, said = millpond("erase", who)
        assert code == 1
        assert f"the ledger knows no person and no customer {who}" in said


def receipt(number: int, counted_: int, anonymous: int) -> Receipt:
    """A receipt of an hour's counts with these figures."""
    rows = {"in": counted_ + anonymous, "counted": counted_, "anonymous": anonymous}
    return replace(RECEIPT, number=number, rows={**rows, "quarantined": 0})


HOUR = {"id:1": 2, EARLY.identity: 3, LATE.identity: 4}


def test_an_audit_finds_an_hour_that_is_not_as_its_tables() -> None:
    said = receipt(2, 2, 3 + 4)
    assert compare_hour(ONE, 2, said, HOUR, HOUR) is None
    assert compare_hour(ONE, 1, said, HOUR, HOUR) == (
        f"{ONE} is applied by receipt 1 of its counts, and the current one is 2; "
        "run apply for that hour"
    )
    more = {**HOUR, "id:1": 5}
    assert compare_hour(ONE, 2, said, HOUR, more) == (
        f"{ONE}: id:1 contributes 5 in the ledger, and 2 by the tables"
    )
    less = {EARLY.identity: 3, LATE.identity: 4}
    assert compare_hour(ONE, 2, said, HOUR, less) == (
        f"{ONE}: id:1 contributes 0 in the ledger, and 2 by the tables"
    )


def test_an_audit_takes_of_the_ledger_what_was_erased_and_no_more() -> None:
    said, erased = receipt(1, 2, 3 + 4), {"id:1": 2, LATE.identity: 4}
    assert compare_hour(ONE, 1, said, erased, HOUR) is None
    more = {**HOUR, EARLY.identity: 30}
    assert compare_hour(ONE, 1, said, erased, more) == (
        f"{ONE}: {EARLY.identity} contributes 30 in the ledger, and 0 by the tables"
    )


def test_an_audit_finds_the_first_total_that_is_wrong() -> None:
    assert compare_totals({"1": 5, "2": 6}, {"1": 5, "2": 6}) is None
    assert compare_totals({"1": 5, "2": 6, "3": 7}, {"3": 8, "2": 5, "1": 5}) == (
        "the total of customer 2 is 5, and should be 6"
    )
