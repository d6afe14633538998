"""reconcile: does what was read agree with what was counted, contributed, added up and sent?

(a) Every message that was read is counted, anonymous or quarantined.
(b) What was counted and what is anonymous are the hour's contributions.
(c) All contributions that have a customer are all totals without their opening balances.
(d) Every customer whose total an hour changed has that version confirmed by the service, or a later
    one, or is pending for less than two hours, or was rejected: a dead letter.

The result is a receipt of `interactions_balance`, refused if one of them does not hold.
"""

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import pyarrow as pa
import sqlalchemy as sa

from millpond.catalog.interactions import BALANCE, COUNTS, DELIVERIES, TOTALS
from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.catalog.tables import Table
from millpond.errors import CheckFailedError
from millpond.interactions.counted import read_receipt
from millpond.interactions.ledger import Ledger
from millpond.lake.publishing import Publisher
from millpond.lake.receipts import Check, Source
from millpond.lake.tables import arrow_schema
from millpond.run import code_version

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Balance:
    """The figures of an hour; `interactions_balance` says what each is."""

    rows: int
    counted: int
    anonymous: int
    quarantined: int
    contributions: int
    assigned: int
    totals: int
    changed: int
    acked: int
    dead: int
    pending: int
    overdue: int


# One statement sees one moment, whatever is applied meanwhile.
FIGURES = sa.text("""
WITH sent AS (
    SELECT hour, customer.customer_id, changed_at,
           acked_version >= change.version AS is_acked,
           acked_version < change.version AND coalesce(dead_version, 0) >= change.version AS is_dead
    FROM change JOIN customer USING (customer_id)
), pending AS (
    SELECT * FROM sent WHERE NOT is_acked AND NOT is_dead
)
SELECT (SELECT coalesce(sum(n), 0) FROM contribution WHERE hour = :hour) AS contributions,
       (SELECT coalesce(sum(n), 0) FROM contribution JOIN identity USING (identity)
        WHERE customer_id IS NOT NULL) AS assigned,
       (SELECT coalesce(sum(total - opening), 0) FROM customer) AS totals,
       (SELECT count(*) FROM sent WHERE hour = :hour) AS changed,
       (SELECT count(*) FROM sent WHERE hour = :hour AND is_acked) AS acked,
       (SELECT count(*) FROM sent WHERE hour = :hour AND is_dead) AS dead,
       (SELECT count(*) FROM pending WHERE hour = :hour) AS pending,
       (SELECT count(DISTINCT customer_id) FROM pending
        WHERE changed_at < now() - interval '2 hours') AS overdue
""")

CHANGED_TOTALS = sa.text("""
SELECT customer_id, total, opening, customer.version, acked_version, :name AS hour
FROM change JOIN customer USING (customer_id)
WHERE hour = :hour
""")

SENT = sa.text("""
SELECT attempt_id, customer_id, version, n, sent_at, outcome, status, :name AS hour
FROM change JOIN attempt USING (customer_id, version)
WHERE hour = :hour
""")


def reconcile(settings: Settings, hour: Hour, run_id: str) -> Balance:
    """Publish an hour's totals, deliveries and balance.

    Raises:
        CheckFailedError: One of the equations does not hold; the sentence says which.
        BadInputError: The hour has not been counted.
    """
    ledger = Ledger(settings.ledger_url)
    receipt = read_receipt(settings, hour)
    found = balance(ledger, hour, receipt.rows)
    source = Source(f"{settings.root}/{COUNTS.path}", number=receipt.number)
    code = code_version(Path(__file__))
    publisher = Publisher(settings, hour, run_id, code, (source,))
    publisher.publish(TOTALS, rows_of(ledger, TOTALS, CHANGED_TOTALS, hour))
    publisher.publish(DELIVERIES, rows_of(ledger, DELIVERIES, SENT, hour))
    _publish_balance(publisher, hour, found, checks(found))
    return found


def _publish_balance(
    publisher: Publisher, hour: Hour, found: Balance, results: tuple[Check, ...]
) -> None:
    figures: dict[str, int] = asdict(found)
    log.info("balance of %s: %s", hour, ", ".join(f"{k} {v}" for k, v in figures.items()))
    failed = [check for check in results if not check.passed]
    for check in failed:
        log.warning("%s", check)
    if wrong := [str(check) for check in failed if check.severity == "error"]:
        publisher.refuse(BALANCE, results, figures)
        raise CheckFailedError(
            f"{hour} does not balance: {'; '.join(wrong)}; `millpond interactions audit` finds the "
            "first total that is wrong"
        )
    row = {**figures, "hour": str(hour)}
    rows = pa.Table.from_pylist([row], schema=arrow_schema(BALANCE))
    publisher.publish(BALANCE, rows, results, figures)


def balance(ledger: Ledger, hour: Hour, rows: dict[str, int]) -> Balance:
    """The figures of an hour: `rows` as the receipt of its counts has them, and the ledger's."""
    with ledger.transaction() as database:
        figures = database.execute(FIGURES, {"hour": hour.start}).mappings().one()
    return Balance(
        rows=rows["in"],
        counted=rows["counted"],
        anonymous=rows["anonymous"],
        quarantined=rows["quarantined"],
        **{name: int(figure) for name, figure in figures.items()},
    )


def checks(of: Balance) -> tuple[Check, ...]:
    """Equations (a) to (d), each as a figure that must be 0; dead letters are a warning."""
    return (
        _zero("rows_unexplained", of.rows - of.counted - of.anonymous - of.quarantined),
        _zero("interactions_not_contributed", of.counted + of.anonymous - of.contributions),
        _zero("contributions_not_in_totals", of.assigned - of.totals),
        _zero("customers_overdue", of.overdue),
        _zero("dead_letters", of.dead, "warn"),
    )


def rows_of(ledger: Ledger, table: Table, query: sa.TextClause, hour: Hour) -> pa.Table:
    """What the ledger has of an hour, as rows of a table."""
    with ledger.transaction() as database:
        rows = database.execute(query, {"hour": hour.start, "name": str(hour)}).mappings().all()
    return pa.Table.from_pylist([dict(row) for row in rows], schema=arrow_schema(table))


def _zero(name: str, figure: int, severity: Literal["error", "warn"] = "error") -> Check:
    return Check(name, severity, figure == 0, figure, minimum=0, maximum=0)
