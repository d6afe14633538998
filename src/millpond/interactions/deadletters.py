"""Dead letters: totals that the customer service rejected."""

import pyarrow as pa
import sqlalchemy as sa

from millpond.interactions.ledger import Ledger

LIST = sa.text("""
SELECT customer_id, version, total, acked_version, attempt.status, attempt.ended_at AS rejected_at
FROM customer LEFT JOIN LATERAL (
    SELECT status, ended_at FROM attempt
    WHERE attempt.customer_id = customer.customer_id AND outcome = 'reject'
    ORDER BY attempt_id DESC LIMIT 1
) AS attempt ON true
WHERE dead_version = version
ORDER BY customer_id
""")

COLUMNS = pa.schema(
    [
        ("customer_id", pa.string()),
        *((name, pa.int64()) for name in ("version", "total", "acked_version")),
        ("status", pa.int32()),
        ("rejected_at", pa.timestamp("s", tz="UTC")),
    ]
)

# Locked in the order of their keys, as everybody does: no two wait for each other.
RETRY = sa.text("""
UPDATE customer SET dead_version = NULL WHERE customer_id IN (
    SELECT customer_id FROM customer WHERE dead_version = version ORDER BY customer_id FOR UPDATE
)
""")


def dead_letters(ledger: Ledger) -> pa.Table:
    """The customers whose newest total was rejected, with the last answer."""
    with ledger.transaction() as database:
        rows = database.execute(LIST).mappings().all()
    return pa.Table.from_pylist([dict(row) for row in rows], schema=COLUMNS)


def retry_dead_letters(ledger: Ledger) -> int:
    """Have the next post send them once more; how many they are."""
    with ledger.transaction() as database:
        return database.execute(RETRY).rowcount
