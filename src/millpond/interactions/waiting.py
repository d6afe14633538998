"""Persons without a customer: who they are to the ledger, and their names for whoever decides."""

import pyarrow as pa
import sqlalchemy as sa

from millpond.catalog.interactions import ANONYMOUS
from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.interactions.counted import keys_of
from millpond.interactions.ledger import Ledger, no_such_person
from millpond.interactions.schema import IDENTITY
from millpond.lake.tables import StoredTable, arrow_schema

LIST = sa.text("""
SELECT identity, state, reason, coalesce(sum(n), 0) AS interactions, last_hour, asks, next_ask
FROM identity LEFT JOIN contribution USING (identity)
WHERE state IN ('open', 'homonym')
GROUP BY identity
ORDER BY interactions DESC, identity
""")

COLUMNS = pa.schema(
    [
        *((name, pa.string()) for name in ("identity", "state", "reason")),
        ("interactions", pa.int64()),
        ("last_hour", pa.string()),
        ("asks", pa.int32()),
        ("next_ask", pa.timestamp("s", tz="UTC")),
    ]
)


def waiting(ledger: Ledger) -> pa.Table:
    """The persons whose interactions are nobody's yet, those with the most first; no names."""
    with ledger.transaction() as database:
        rows = database.execute(LIST).mappings().all()
    shown = [
        {
            **row,
            "interactions": int(row["interactions"]),
            "last_hour": str(Hour.of(row["last_hour"])),
        }
        for row in rows
    ]
    return pa.Table.from_pylist(shown, schema=COLUMNS)


def names(settings: Settings, identity: str) -> pa.Table:
    """What was sent of a person in the newest hour: the rows of `interactions_anonymous`.

    Raises:
        MillpondError: The ledger has no such person.
    """
    with Ledger(settings.ledger_url).transaction() as database:
        chosen = sa.select(IDENTITY.c.last_hour).where(
            IDENTITY.c.identity == identity, IDENTITY.c.name_key.is_not(None)
        )
        last_hour = database.scalar(chosen)
    if last_hour is None:
        raise no_such_person(identity)
    keys = keys_of(settings)
    rows = StoredTable.of(settings, ANONYMOUS).read(Hour.of(last_hour))
    kept = [row for row in rows.to_pylist() if keys.of_row(row).identity == identity]
    return pa.Table.from_pylist(kept, schema=arrow_schema(ANONYMOUS))
