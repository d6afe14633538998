"""erase: remove a person's names and birth dates from what lies on HDFS.

The rows of a person go from the personal tables, and so do the files of former versions. Counts
stay: they are the customer's, and the ledger knows the person by a keyed hash alone. A person who
has no customer is not asked for again; a later message brings the names back, for that hour.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa

from millpond.catalog.interactions import ANONYMOUS
from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.errors import MillpondError, SupersededError
from millpond.interactions.apply import changing_persons
from millpond.interactions.counted import keys_of
from millpond.interactions.identities import PersonKeys
from millpond.interactions.ledger import Ledger
from millpond.interactions.schema import CUSTOMER, IDENTITY
from millpond.lake.publishing import Publisher
from millpond.lake.tables import StoredTable, arrow_schema
from millpond.run import code_version

log = logging.getLogger(__name__)

LEFT_HOURS = 24  # a count takes minutes


@dataclass(frozen=True)
class Erased:
    """How many persons were looked for, and how many rows of how many hours are gone."""

    persons: int
    rows: int
    hours: int


def erase(settings: Settings, who: str) -> Erased:
    """Erase a person by the key, `person:...`, or the persons who are a customer, by the id's JSON.

    Raises:
        MillpondError: The ledger knows nobody of that kind; or a count came in between: what was
        erased until then stays so, and the rest goes when it is called again.
    """
    ledger = Ledger(settings.ledger_url)
    persons = persons_of(ledger, who)
    keys = keys_of(settings)
    stored = StoredTable.of(settings, ANONYMOUS)
    removed = []
    for hour in stored.partitions():
        assert isinstance(hour, Hour)
        if rows := _erase_hour(settings, stored, hour, keys, persons):
            removed.append(rows)
            log.info("erased %d rows of %s", rows, hour)
    _vacuum(stored)
    mark_erased(ledger, persons)
    return Erased(len(persons), sum(removed), len(removed))


def persons_of(ledger: Ledger, who: str) -> frozenset[str]:
    """The persons that a key or a customer's id stands for.

    Raises:
        MillpondError: The ledger knows nobody of that kind.
    """
    columns = IDENTITY.c
    is_meant = columns.identity == who if who.startswith("person:") else columns.customer_id == who
    persons = sa.select(columns.identity).where(is_meant, columns.name_key.is_not(None))
    customer = sa.select(sa.exists().where(CUSTOMER.c.customer_id == who))
    with ledger.transaction() as database:
        found = frozenset(database.scalars(persons))
        if not found and not database.scalar(customer):
            raise MillpondError(
                f"the ledger knows no person and no customer {who}; a person is person: and 64 hex "
                "digits, a customer the id's JSON"
            )
    return found


def mark_erased(ledger: Ledger, persons: frozenset[str]) -> None:
    """Have nobody ask for the persons again; whoever has a customer keeps it."""
    columns = IDENTITY.c
    without_customer = columns.identity.in_(persons) & columns.customer_id.is_(None)
    with changing_persons(ledger) as database:
        database.execute(
            sa.update(IDENTITY)
            .where(without_customer)
            .values(state="erased", reason=None, answer=None, next_ask=None)
        )


def _erase_hour(
    settings: Settings, stored: StoredTable, hour: Hour, keys: PersonKeys, persons: frozenset[str]
) -> int:
    """Publish the hour's rows without the persons'; how many were theirs."""
    number = stored.number(hour)
    rows = stored.read(hour).to_pylist()
    kept = [row for row in rows if keys.of_row(row).identity not in persons]
    if len(kept) < len(rows):
        publisher = Publisher(settings, hour, "erase", code_version(Path(__file__)))
        left = pa.Table.from_pylist(kept, schema=arrow_schema(ANONYMOUS))
        try:
            publisher.publish(ANONYMOUS, left, instead_of=number)
        except SupersededError as error:
            raise MillpondError(f"{error}; erase again, for they may be the person's") from None
    return len(rows) - len(kept)


def _vacuum(stored: StoredTable) -> None:
    """Delete the files of former versions, and those that attempts left which failed."""
    stored.open().vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    # A file that no version names may be that of a count which is about to publish it.
    stored.open().vacuum(LEFT_HOURS, enforce_retention_duration=False, dry_run=False, full=True)
