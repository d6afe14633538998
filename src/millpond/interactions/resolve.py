"""resolve: ask the customer service who the persons are that it has not told yet.

Each person is asked for once, however many messages there are. The first valid answer is stored and
is the one that counts, whatever the service says later; `apply` makes it count. It is valid if the
names in it are those that were asked for. Anything else leaves the person open, with a reason, and
is asked again later. Nobody is asked for whose name two persons share: the answer could not tell
which of them it is about.
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any, Literal

import sqlalchemy as sa

from millpond.catalog.interactions import Contract
from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.errors import BadInputError, MillpondError
from millpond.interactions.apply import (
    ADD_IDENTITIES,
    bring,
    changing_persons,
    changing_totals,
    person_rows,
)
from millpond.interactions.counted import Names, keys_of, read_names, read_persons
from millpond.interactions.identities import Person, customer_id, normalise
from millpond.interactions.ledger import Ledger
from millpond.interactions.service import CustomerService, Outcome

log = logging.getLogger(__name__)

# What bounds a run: the rest is asked for in the next one. It must end well within the hour.
MOST_ASKS = 5000
SECONDS = 600
# So many times in a row without an answer, and the service is down: asking on would only wait.
SILENCES = 5
# How many answers a kill may lose; they are asked for again.
BATCH = 100


@dataclass(frozen=True)
class Found:
    """The service knows somebody of these names; `customer_id` is the JSON of the id."""

    customer_id: str
    first_name: str
    last_name: str


@dataclass(frozen=True)
class NotFound:
    """The service knows nobody of these names."""


@dataclass(frozen=True)
class Refused:
    """The service does not take such names."""


@dataclass(frozen=True)
class Unavailable:
    """The service gave no answer, and may be asked again after `wait` seconds.

    `reason` says why, and nobody's name.
    """

    reason: str
    wait: float = 0.0


Answer = Found | NotFound | Refused | Unavailable
# By first and last name. What it raises (401, 403, a breach of the contract) ends the run.
Ask = Callable[[str, str], Answer]
Reason = Literal["not_found", "refused", "other_name", "unavailable", "no_names"]


@dataclass(frozen=True)
class Result:
    """What became of asking for a person: the id, or why there is none."""

    identity: str
    answer: str | None = None
    reason: Reason | None = None


@dataclass(frozen=True)
class Due:
    """A person to ask for, whose names an hour's personal table has."""

    identity: str
    last_hour: Hour


# New persons first, then who has waited longest.
DUE = sa.text("""
SELECT identity, last_hour FROM identity AS person
WHERE state = 'open' AND answer IS NULL AND (next_ask IS NULL OR next_ask <= now()) AND (
    SELECT count(*) FROM identity AS namesake
    WHERE namesake.name_key = person.name_key AND namesake.has_birth
) < 2
ORDER BY next_ask NULLS FIRST, identity
LIMIT :most
""")

STORE_ANSWER = sa.text("""
UPDATE identity SET answer = :answer, reason = NULL, next_ask = NULL, asks = asks + 1
WHERE identity = :identity AND state = 'open' AND answer IS NULL
""")

# Who got no answer at all is due in the next run; else the pause is doubled, from 1 h to 24 h.
STORE_REASON = sa.text("""
UPDATE identity SET reason = :reason,
    asks = CASE WHEN :reason = 'unavailable' THEN asks ELSE asks + 1 END,
    next_ask = CASE WHEN :reason = 'unavailable' THEN next_ask
                    ELSE now() + interval '1 hour' * least(24, power(2, least(asks, 5))) END
WHERE identity = :identity AND state = 'open' AND answer IS NULL
""")


def resolve_hour(settings: Settings, hour: Hour, ask: Ask) -> None:
    """Ask for the persons that are new in an hour, and for those that are due again."""
    ledger = Ledger(settings.ledger_url)
    keys = keys_of(settings)
    register(ledger, hour, read_persons(settings, hour, keys))
    resolve(ledger, ask, partial(read_names, settings, keys=keys))


def register(ledger: Ledger, hour: Hour, persons: Mapping[Person, int]) -> None:
    """Have the ledger know the persons of an hour; totals do not change."""
    with changing_totals(ledger) as database:
        bring(database, person_rows(persons))
        database.execute(sa.text(ADD_IDENTITIES), {"hour": hour.start})


def resolve(
    ledger: Ledger,
    ask: Ask,
    names_of: Callable[[Hour], Mapping[str, Names]],
    most: int = MOST_ASKS,
) -> None:
    """Ask for at most `most` of the persons that are due, and store what the service says.

    `names_of` gives the names of an hour's persons by identity. What `ask` raises ends the run;
    the answers before it are stored.
    """
    found: Counter[str] = Counter()
    batch: list[Result] = []
    try:
        for outcome in _asked(_due(ledger, most), ask, names_of):
            found[outcome.reason or "answered"] += 1
            batch.append(outcome)
            if len(batch) == BATCH:
                _store(ledger, batch)
                batch.clear()
    finally:
        _store(ledger, batch)
        said = ", ".join(f"{n} {what}" for what, n in sorted(found.items()))
        log.info("asked for %d persons: %s", found.total(), said or "nobody was due")


def judge(names: Names, answer: Answer) -> tuple[str | None, Reason | None]:
    """The id if the answer is about these names, else why it is not taken."""
    if isinstance(answer, NotFound):
        return None, "not_found"
    if isinstance(answer, Refused):
        return None, "refused"
    if isinstance(answer, Unavailable):
        return None, "unavailable"
    asked = (normalise(names.first), normalise(names.last))
    if (normalise(answer.first_name), normalise(answer.last_name)) != asked:
        return None, "other_name"
    return customer_id(answer.customer_id), None


def asking(service: CustomerService) -> Ask:
    """How to ask a service."""

    def ask(first_name: str, last_name: str) -> Answer:
        said = service.get_customer(first_name, last_name)
        if said.status == HTTPStatus.UNAUTHORIZED and said.outcome is Outcome.RETRY:
            said = service.get_customer(first_name, last_name)  # under a renewed password
        match said.outcome:
            case Outcome.ACK:
                return _found(said.content, service.contract)
            case Outcome.REJECT:
                return NotFound() if said.status == HTTPStatus.NOT_FOUND else Refused()
            case Outcome.STOP:
                raise BadInputError(f"the customer service cannot be asked: {said.why}")
        return Unavailable(said.why, said.wait)

    return ask


def _found(content: Any, contract: Contract) -> Found:
    """Who the service says it is; what breaks the contract is not quoted: it may be a name."""
    if isinstance(content, dict):
        first, last = content.get(contract.first_name), content.get(contract.last_name)
        id_ = _id_in(content.get(contract.id))
        if isinstance(first, str) and isinstance(last, str) and id_ is not None:
            return Found(id_, first, last)
    raise BadInputError(
        f"the customer service answered without {contract.first_name} and {contract.last_name} as "
        f"strings and {contract.id} as an id: it does not keep to its contract; "
        "MILLPOND_SERVICE_KEYS names the keys"
    )


def _id_in(value: Any) -> str | None:
    try:
        return customer_id(json.dumps(value))
    except MillpondError:
        return None


class _Patience:
    """How long a run goes on asking: for some minutes, and while the service answers."""

    def __init__(self) -> None:
        self._end = time.monotonic() + SECONDS
        self._silences = 0

    def is_left(self) -> bool:
        """Whether another one may be asked for."""
        return time.monotonic() < self._end and self._silences < SILENCES

    def heard(self, answer: Answer) -> None:
        """Leave the service alone for as long as it asks, or until the next run."""
        if not isinstance(answer, Unavailable):
            self._silences = 0
            return
        log.warning("the customer service gave no answer: %s", answer.reason)
        self._silences += 1
        if time.monotonic() + answer.wait < self._end:
            time.sleep(answer.wait)
        else:
            self._silences = SILENCES


def _asked(
    due: list[Due], ask: Ask, names_of: Callable[[Hour], Mapping[str, Names]]
) -> Iterator[Result]:
    """Ask for one after the other, as long as there is patience."""
    patience = _Patience()
    names_in = lru_cache(maxsize=1)(names_of)  # an hour may have very many
    for person in sorted(due, key=lambda each: each.last_hour):
        if not patience.is_left():
            log.warning("the rest is asked for in the next run")
            return
        names = names_in(person.last_hour).get(person.identity)
        if names is None:
            yield Result(person.identity, reason="no_names")
            continue
        answer = ask(names.first, names.last)
        patience.heard(answer)
        yield Result(person.identity, *judge(names, answer))


def _due(ledger: Ledger, most: int) -> list[Due]:
    with ledger.transaction() as database:
        rows = database.execute(DUE, {"most": most}).all()
    return [Due(row.identity, Hour.of(row.last_hour)) for row in rows]


def _store(ledger: Ledger, outcomes: list[Result]) -> None:
    with changing_persons(ledger) as database:
        for outcome in outcomes:
            statement = STORE_ANSWER if outcome.answer else STORE_REASON
            database.execute(statement, vars(outcome))
