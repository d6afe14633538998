"""Who is asked for, when, and which answer is taken."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from millpond.catalog.partitions import Hour
from millpond.errors import BadInputError, MillpondError
from millpond.interactions import service
from millpond.interactions.apply import apply, decide
from millpond.interactions.counted import Names
from millpond.interactions.identities import Person, customer_id
from millpond.interactions.ledger import Ledger
from millpond.interactions.resolve import (
    BATCH,
    SILENCES,
    Answer,
    Found,
    NotFound,
    Refused,
    Unavailable,
    asking,
    register,
    resolve,
)
from millpond.interactions.schema import IDENTITY
from millpond.interactions.service import CustomerService, Endpoint
from millpond.reference_service.customers import known_customers, normalised
from tests.ledger.reference import CONTRACT, Reference
from tests.ledger.world import (
    EARLY,
    KEYS,
    LATE,
    ONE,
    OTHER,
    TWO,
    UNDATED,
    answer,
    counted,
    person,
    states,
    totals,
)

DUPONT, MARTIN = Names("Zoé", "Dupont"), Names("Zoé", "Martin")
NAMES = {of.identity: DUPONT for of in (EARLY, LATE, UNDATED)} | {OTHER.identity: MARTIN}
SEVEN = Found("7", "Zoé", "Dupont")
EIGHT = Found("8", "Zoé", "Martin")


class Service:
    """Gives these answers by last name, and remembers for whom it was asked."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str]] = []

    def __call__(self, first_name: str, last_name: str) -> Answer:
        self.asked.append((first_name, last_name))
        return self.answers.get(last_name, NotFound())


def names_of(_: Hour) -> dict[str, Names]:
    return NAMES


@pytest.fixture
def ask(ledger: Ledger) -> Callable[..., Service]:
    """One run; what the service was asked."""

    def run(most: int = 100, **answers: Answer) -> Service:
        service = Service(**answers)
        resolve(ledger, service, names_of, most)
        return service

    return run


def row(ledger: Ledger, of: Person) -> sa.Row[tuple[object, ...]]:
    with ledger.transaction() as database:
        return database.execute(sa.select(IDENTITY).where(IDENTITY.c.identity == of.identity)).one()


def pause(ledger: Ledger, of: Person) -> timedelta:
    """How long after its last answer a person is asked for again."""
    with ledger.transaction() as database:
        left = sa.select(IDENTITY.c.next_ask - sa.func.now())
        found = database.scalar(left.where(IDENTITY.c.identity == of.identity))
    assert isinstance(found, timedelta)
    return found


def let_time_pass(ledger: Ledger) -> None:
    with ledger.transaction() as database:
        database.execute(sa.update(IDENTITY).values(next_ask=sa.func.now()))


def test_an_answer_makes_a_late_identity_count(ledger: Ledger, ask: Callable[..., Service]) -> None:
    apply(ledger, counted(ONE, {"7": 1}, {EARLY: 10}))
    assert ask(Dupont=SEVEN).asked == [("Zoé", "Dupont")]
    assert totals(ledger) == {"7": 1}  # until the next apply
    apply(ledger, counted(TWO))
    assert totals(ledger) == {"7": 1 + 10}
    assert ask(Dupont=Found("9", "Zoé", "Dupont")).asked == []


def test_of_two_runs_at_once_the_first_answer_stays(ledger: Ledger) -> None:
    apply(ledger, counted(ONE, {}, {EARLY: 1}))

    def answer_slowly(first_name: str, last_name: str) -> Answer:
        answer(ledger, EARLY, "7")  # the other run's
        return Found("9", first_name, last_name)

    resolve(ledger, answer_slowly, names_of)
    assert row(ledger, EARLY).answer == "7"


def test_the_persons_of_an_hour_are_asked_for_before_it_is_applied(
    ledger: Ledger, ask: Callable[..., Service]
) -> None:
    hour = counted(ONE, {}, {EARLY: 10, OTHER: 1})
    register(ledger, ONE, hour.persons)
    register(ledger, ONE, hour.persons)
    assert len(ask(Dupont=SEVEN).asked) == 2
    apply(ledger, hour)
    assert totals(ledger) == {"7": 10}


def test_names_are_compared_after_normalising(ledger: Ledger, ask: Callable[..., Service]) -> None:
    apply(ledger, counted(ONE, {}, {EARLY: 1}))
    ask(Dupont=Found('"c-7"', " ZOE\u0301", "dupont "))
    assert row(ledger, EARLY).answer == '"c-7"'


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (NotFound(), "not_found"),
        (Found("7", "Zoé", "Martin"), "other_name"),
        (Found("7", "Dupont", "Zoé"), "other_name"),  # nor the other way round
        (Found("7", "Zoe", "Dupont"), "other_name"),
    ],
)
def test_another_answer_leaves_the_person_open_with_a_reason(
    ledger: Ledger, ask: Callable[..., Service], answer: Answer, reason: str
) -> None:
    apply(ledger, counted(ONE, {}, {EARLY: 1}))
    ask(Dupont=answer)
    found = row(ledger, EARLY)
    assert (found.state, found.answer, found.reason, found.asks) == ("open", None, reason, 1)
    assert ask(Dupont=SEVEN).asked == []  # not yet
    let_time_pass(ledger)
    assert ask(Dupont=SEVEN).asked == [("Zoé", "Dupont")]
    assert row(ledger, EARLY).reason is None


def test_the_pause_doubles_from_an_hour_to_a_day(
    ledger: Ledger, ask: Callable[..., Service]
) -> None:
    apply(ledger, counted(ONE, {}, {EARLY: 1}))
    hours = []
    for _ in range(7):
        let_time_pass(ledger)
        ask()
        hours.append(pause(ledger, EARLY) / timedelta(hours=1))
    assert hours == pytest.approx([1, 2, 4, 8, 16, 24, 24], abs=0.1)


def test_who_got_no_answer_is_due_in_the_next_run(
    ledger: Ledger, ask: Callable[..., Service], caplog: pytest.LogCaptureFixture
) -> None:
    apply(ledger, counted(ONE, {}, {EARLY: 1}))
    ask(Dupont=Unavailable("HTTP 503"))
    assert "the customer service gave no answer: HTTP 503" in caplog.text
    assert (row(ledger, EARLY).reason, row(ledger, EARLY).asks) == ("unavailable", 0)
    assert ask(Dupont=SEVEN).asked != []
    apply(ledger, counted(TWO))
    assert totals(ledger) == {"7": 1}


def test_a_service_that_is_down_is_not_asked_on(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    persons = [person(f"name {n}") for n in range(SILENCES + 1)]
    apply(ledger, counted(ONE, {}, dict.fromkeys(persons, 1)))
    asked = []

    def silent(_: str, last_name: str) -> Answer:
        asked.append(last_name)
        return Unavailable("timed out")

    resolve(ledger, silent, lambda _: {of.identity: DUPONT for of in persons})
    assert len(asked) == SILENCES
    assert "the rest is asked for in the next run" in caplog.text


def test_nobody_is_asked_for_whose_name_two_share(
    ledger: Ledger, ask: Callable[..., Service]
) -> None:
    register(ledger, ONE, {EARLY: 1, LATE: 1, UNDATED: 1, OTHER: 1})
    assert ask(Dupont=SEVEN).asked == [("Zoé", "Martin")]


def test_nobody_is_asked_for_who_was_decided_by_hand(
    ledger: Ledger, ask: Callable[..., Service]
) -> None:
    apply(ledger, counted(ONE, {}, {EARLY: 1}))
    decide(ledger, EARLY.identity, "9")
    assert ask(Dupont=SEVEN).asked == []


def test_a_run_asks_for_so_many_and_the_next_one_for_the_rest(
    ledger: Ledger, ask: Callable[..., Service]
) -> None:
    apply(ledger, counted(ONE, {}, {EARLY: 1, OTHER: 1}))
    first, second = ask(most=1), ask(most=1)
    assert len(first.asked) == len(second.asked) == 1
    assert first.asked != second.asked


def test_what_ends_the_run_loses_no_answer_before_it(ledger: Ledger) -> None:
    persons = [person(f"name {n:03}") for n in range(BATCH + 5)]
    apply(ledger, counted(ONE, {}, dict.fromkeys(persons, 1)))
    names = {of.identity: Names("Zoé", of.identity) for of in persons}
    asked = []

    def forbid_at_the_end(first_name: str, last_name: str) -> Answer:
        asked.append(last_name)
        if len(asked) == len(persons):
            raise MillpondError("401")
        return Found("7", first_name, last_name)

    with pytest.raises(MillpondError, match="401"):
        resolve(ledger, forbid_at_the_end, lambda _: names)
    answered = [of for of in persons if row(ledger, of).answer == "7"]
    assert sorted(of.identity for of in answered) == sorted(asked[:-1])


def test_a_person_whose_names_are_gone_is_not_asked_for(ledger: Ledger) -> None:
    apply(ledger, counted(ONE, {}, {EARLY: 1}))
    service = Service(Dupont=SEVEN)
    resolve(ledger, service, lambda _: {})
    assert service.asked == []
    assert row(ledger, EARLY).reason == "no_names"


def test_an_answer_after_a_homonym_has_come_gives_nobody_a_customer(
    ledger: Ledger, ask: Callable[..., Service]
) -> None:
    apply(ledger, counted(ONE, {}, {EARLY: 1}))
    ask(Dupont=SEVEN)
    apply(ledger, counted(TWO, {}, {LATE: 1}))
    assert set(states(ledger).values()) == {"homonym"}
    assert totals(ledger) == {}


def test_no_name_is_logged(
    ledger: Ledger, ask: Callable[..., Service], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    apply(ledger, counted(ONE, {}, {EARLY: 1, OTHER: 1}))
    ask(Dupont=Found("7", "Zoé", "Martin"), Martin=EIGHT)
    assert "asked for 2 persons: 1 answered, 1 other_name" in caplog.text
    for name in ("Dupont", "Martin", "Zoé", "1981"):
        assert name.casefold() not in caplog.text.casefold()


GET = {"path": "/getcustomer"}


def test_the_service_is_asked_over_http(reference: Reference) -> None:
    ask = asking(reference.service())
    found = ask("Zoé", "Lefèvre")
    assert isinstance(found, Found)
    assert (found.first_name, found.last_name) == ("Zoé", "Lefèvre")
    assert ask("Nobody", "Lefèvre") == NotFound()
    assert [json.loads(request["body"]) for request in reference.requests] == [
        {"firstname": "Zoé", "lastname": "Lefèvre"},
        {"firstname": "Nobody", "lastname": "Lefèvre"},
    ]


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ({"answer": "status", "status": 404}, NotFound()),
        ({"answer": "status", "status": 422}, Refused()),
        ({"answer": "status", "status": 503}, Unavailable("it answered 503")),
        (
            {"answer": "status", "status": 429, "retry_after": "7", "applied": False},
            Unavailable("it answered 429", wait=7),
        ),
        ({"answer": "html"}, Unavailable("it answered 200 with what is no JSON")),
        ({"answer": "reset"}, Unavailable("no whole answer (ProtocolError)")),
    ],
)
def test_what_an_answer_over_http_means(
    reference: Reference, fault: dict[str, Any], answer: Answer
) -> None:
    reference.faults({**GET, **fault})
    assert asking(reference.service())("Zoé", "Lefèvre") == answer


@pytest.mark.parametrize("status", [403, 302])
def test_what_would_be_refused_for_everybody_ends_the_run(
    reference: Reference, status: int
) -> None:
    reference.faults({**GET, "answer": "status", "status": status})
    with pytest.raises(BadInputError, match=f"cannot be asked: it answered {status}"):
        asking(reference.service())("Zoé", "Lefèvre")


def test_a_password_that_stays_wrong_ends_the_run(reference: Reference) -> None:
    reference.ask_for("Bearer right")
    with pytest.raises(BadInputError, match="cannot be asked: it answered 401, also after"):
        asking(reference.service(password="wrong"))("Zoé", "Lefèvre")


def test_an_answer_without_names_breaks_the_contract(reference: Reference) -> None:
    other = replace(CONTRACT, last_name="surname")
    reference.faults({**GET, "answer": "status", "status": 200, "applied": False})
    with pytest.raises(BadInputError, match="without firstname and surname as strings"):
        asking(CustomerService(lambda: Endpoint(reference.url), other))("Zoé", "Lefèvre")


@pytest.mark.parametrize("id_", [None, "", 1.5, True, {"lastname": "Lefèvre"}, ["Zoé"]])
def test_an_answer_without_an_id_breaks_the_contract_and_is_not_quoted(id_: object) -> None:
    content = {"customerId": id_, "firstname": "Zoé", "lastname": "Lefèvre"}
    said = service.Answer(service.Outcome.ACK, 200, content)
    stands: Any = SimpleNamespace(get_customer=lambda *_: said, contract=CONTRACT)
    with pytest.raises(BadInputError, match="and customerId as an id: it does not keep") as refused:
        asking(stands)("Zoé", "Lefèvre")
    assert not any(name in str(refused.value) for name in ("Zoé", "Lefèvre"))


def test_the_service_is_left_alone_for_as_long_as_it_asks(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("millpond.interactions.resolve.time.sleep", slept.append)
    apply(ledger, counted(ONE, {}, {EARLY: 1, OTHER: 1}))
    answers = iter([Unavailable("it answered 429", wait=7), Unavailable("429", wait=86400)])
    resolve(ledger, lambda *_: next(answers), names_of)
    assert slept == [7]  # the second time it is left alone until the next run


def test_people_of_the_service_count_as_its_customers(ledger: Ledger, reference: Reference) -> None:
    of = KEYS.person(" LEFÈVRE", "zoé", "1981-02-03")
    hour = counted(ONE, {}, {of: 5, person("Nobody"): 1})
    register(ledger, ONE, hour.persons)
    names = {of.identity: Names("zoé", "LEFÈVRE"), person("Nobody").identity: Names("Z", "Nobody")}
    resolve(ledger, asking(reference.service()), lambda _: names)
    apply(ledger, hour)
    [id_] = totals(ledger)
    assert id_ == customer_id(json.dumps(known_customers()[normalised("Zoé", "Lefèvre")]))
