"""An hour as it was counted: the published tables and their receipt."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from millpond.catalog.interactions import ANONYMOUS, COUNTS
from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.errors import BadInputError, MillpondError
from millpond.interactions.identities import Person, PersonKeys, person_keys, tidy
from millpond.interactions.ledger import Ledger
from millpond.interactions.schema import IDENTITY, PERSON_KEY
from millpond.lake.receipts import Receipt, Receipts
from millpond.lake.tables import StoredTable


@dataclass(frozen=True)
class CountedHour:
    """An hour as receipt number `receipt` of its counts says; `customers` by the id's JSON."""

    hour: Hour
    receipt: int
    rows: int
    quarantined: int
    customers: Mapping[str, int]
    persons: Mapping[Person, int]

    @property
    def counted(self) -> int:
        """The interactions that have an id."""
        return sum(self.customers.values())

    @property
    def anonymous(self) -> int:
        """The interactions that have none."""
        return sum(self.persons.values())


@dataclass(frozen=True)
class Names:
    """The names by which the service is asked for a person."""

    first: str
    last: str


HAS_PERSONS = sa.exists().where(IDENTITY.c.name_key.is_not(None))


def keys_of(settings: Settings) -> PersonKeys:
    """The hashes of persons under this ledger's key; see `person_keys`.

    Raises:
        MillpondError: The ledger has persons by another key.
    """
    with Ledger(settings.ledger_url).transaction() as database:
        keys = person_keys(
            settings.interactions_person_key,
            is_needed=lambda: bool(database.scalar(sa.select(HAS_PERSONS))),
        )
        known = _known_fingerprint(database, keys.fingerprint)
    if known != keys.fingerprint:
        raise MillpondError(
            f"the key of persons {settings.interactions_person_key} is not the one by which the "
            f"ledger has its persons: its fingerprint is {keys.fingerprint[:12]} and not "
            f"{known[:12]}; restore that one, or name it by MILLPOND_INTERACTIONS_PERSON_KEY: "
            "under another one they would all be counted as others"
        )
    return keys


def _known_fingerprint(database: sa.Connection, fingerprint: str) -> str:
    """That of the ledger's key; this one becomes it as long as the ledger has no persons."""
    new = postgresql.insert(PERSON_KEY).values(one=True, fingerprint=fingerprint)
    renewed = new.on_conflict_do_update(
        index_elements=["one"], set_={"fingerprint": fingerprint}, where=~HAS_PERSONS
    )
    database.execute(renewed)
    return str(database.scalar(sa.select(PERSON_KEY.c.fingerprint)))


def read_counted(settings: Settings, hour: Hour, keys: PersonKeys) -> CountedHour:
    """The hour as its current receipt has it.

    Raises:
        BadInputError: It has not been counted.
        MillpondError: The tables are not what the receipt says.
    """
    receipt = read_receipt(settings, hour)
    customers = read_customers(settings, hour)
    persons = read_persons(settings, hour, keys)
    rows = receipt.rows
    found = CountedHour(hour, receipt.number, rows["in"], rows["quarantined"], customers, persons)
    told = (rows["counted"], rows["anonymous"])
    if (found.counted, found.anonymous) != told or read_receipt(settings, hour) != receipt:
        raise MillpondError(
            f"the tables of {hour} have {found.counted} interactions with an id and "
            f"{found.anonymous} without, where receipt {receipt.number} says {told[0]} and "
            f"{told[1]}: it is being counted, or a person was erased; count the hour anew"
        )
    return found


def read_receipt(settings: Settings, hour: Hour) -> Receipt:
    """The current receipt of an hour's counts.

    Raises:
        BadInputError: It has not been counted.
    """
    number = StoredTable.of(settings, COUNTS).number(hour)
    receipts = Receipts.of(settings, COUNTS, hour)
    if (receipt := receipts.read(number)) is None:
        raise BadInputError(f"{hour} has not been counted; run count for that hour first")
    return receipt


def read_customers(settings: Settings, hour: Hour) -> dict[str, int]:
    """How many interactions with an id each customer has in an hour."""
    rows = StoredTable.of(settings, COUNTS).read(hour).to_pylist()
    return {row["customer_id"]: row["interactions"] for row in rows}


def read_persons(settings: Settings, hour: Hour, keys: PersonKeys) -> Counter[Person]:
    """How many interactions without an id each person has in an hour."""
    persons: Counter[Person] = Counter()
    for row in StoredTable.of(settings, ANONYMOUS).read(hour).to_pylist():
        persons[keys.of_row(row)] += row["interactions"]
    return persons


def read_names(settings: Settings, hour: Hour, keys: PersonKeys) -> dict[str, Names]:
    """The names of the persons of an hour, by identity; of several spellings the first."""
    names: dict[str, Names] = {}
    for row in StoredTable.of(settings, ANONYMOUS).read(hour).to_pylist():
        spelled = Names(first=tidy(row["first_name"]), last=tidy(row["last_name"]))
        names.setdefault(keys.of_row(row).identity, spelled)
    return names
