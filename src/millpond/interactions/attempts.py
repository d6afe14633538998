"""Attempts in the ledger: claimed before they are sent, closed when their outcome is known.

Each function works in the transaction that it is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from millpond.interactions.schema import ATTEMPT, CUSTOMER, DUE_AT, META, PENDING, POSTER
from millpond.interactions.service import Answer, Outcome


@dataclass(frozen=True)
class Attempt:
    """A count to post: the total of a customer (the id as JSON) at a version.

    `tries` is how often this poster tried that version before; nothing is sent after `send_until`.
    """

    id: int
    customer_id: str
    version: int
    n: int
    tries: int
    send_until: float


@dataclass(frozen=True)
class Ended:
    """An attempt and what became of it; `wait`: its customer is left alone for these seconds."""

    attempt: Attempt
    answer: Answer
    wait: float = 0.0


NOW = sa.func.clock_timestamp()  # the database's: machines differ


def _interval(seconds: sa.ColumnElement[float]) -> sa.ColumnElement[object]:
    return sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds)


def next_epoch(database: sa.Connection) -> int:
    """Be the newest poster: from now on no earlier one claims or sends anything more."""
    database.execute(sa.text("LOCK TABLE poster IN EXCLUSIVE MODE"))
    epoch: int = database.execute(sa.insert(POSTER).returning(POSTER.c.epoch)).scalar_one()
    return epoch


def is_newest(database: sa.Connection, epoch: int) -> bool:
    """Whether a poster is the newest; until the transaction ends, none becomes newer."""
    database.execute(sa.text("LOCK TABLE poster IN ROW SHARE MODE"))
    newest: int | None = database.scalar(sa.select(sa.func.max(POSTER.c.epoch)))
    return newest == epoch


def seconds_open(database: sa.Connection, epoch: int) -> float:
    """Seconds until the last deadline of what earlier posters have open; 0 if it is over."""
    left = sa.extract("epoch", sa.func.max(ATTEMPT.c.deadline) - NOW)
    found = database.scalar(sa.select(left).where(*_of_earlier(epoch)))
    return max(0.0, float(found or 0))


# What was given to a thread may have been sent.
CLOSED = sa.case((ATTEMPT.c.sent_at.is_(None), Outcome.UNSENT), else_=Outcome.AMBIGUOUS)


def close_earlier(database: sa.Connection, epoch: int) -> list[str]:
    """Close what earlier posters left open, and return the outcomes.

    An ambiguous one makes its customer doubtful.
    """
    # Customers first, as everybody does: an earlier poster may wake up and record just now.
    left_open = sa.select(ATTEMPT.c.customer_id).where(*_of_earlier(epoch))
    _lock(database, database.scalars(left_open).all())
    close = sa.update(ATTEMPT).where(*_of_earlier(epoch)).values(outcome=CLOSED, ended_at=NOW)
    closed = close.returning(ATTEMPT.c.customer_id, ATTEMPT.c.outcome)
    rows = database.execute(closed).all()
    doubtful = [row.customer_id for row in rows if row.outcome == Outcome.AMBIGUOUS]
    mark = sa.update(CUSTOMER).where(CUSTOMER.c.customer_id.in_(doubtful))
    database.execute(mark.values(is_doubtful=True))
    return [row.outcome for row in rows]


def _of_earlier(epoch: int) -> tuple[sa.ColumnElement[bool], ...]:
    return ATTEMPT.c.outcome.is_(None), ATTEMPT.c.epoch < epoch


def claim(
    database: sa.Connection, epoch: int, limit: int, seconds: float, send_until: float
) -> list[Attempt]:
    """Open an attempt for each of up to `limit` customers that are due, with a deadline."""
    values = {"epoch": epoch, "limit": limit, "seconds": seconds}
    rows = database.execute(CLAIM, values)
    return [Attempt(r.attempt_id, r.customer_id, r.version, r.n, r.tries, send_until) for r in rows]


def _claim() -> sa.Select[tuple[int, str, int, int, int]]:
    epoch = sa.bindparam("epoch", type_=sa.Integer)
    deadline = NOW + _interval(sa.bindparam("seconds", type_=sa.Float))
    of_customer = ATTEMPT.c.customer_id == CUSTOMER.c.customer_id
    has_open = sa.exists().where(of_customer, ATTEMPT.c.outcome.is_(None))
    tries = sa.select(sa.func.count()).where(
        of_customer,
        ATTEMPT.c.version == CUSTOMER.c.version,
        ATTEMPT.c.epoch == epoch,
        ATTEMPT.c.sent_at.is_not(None),
    )
    columns = CUSTOMER.c.customer_id, CUSTOMER.c.version, CUSTOMER.c.total
    due = (
        sa.select(*columns, tries.scalar_subquery().label("tries"))
        .where(PENDING, DUE_AT <= NOW, ~has_open)
        .order_by(DUE_AT)
        .limit(sa.bindparam("limit", type_=sa.Integer))
        .with_for_update(skip_locked=True, of=CUSTOMER)
        .cte("due")
    )
    opened = (
        sa.insert(ATTEMPT)
        .from_select(
            ["customer_id", "version", "n", "epoch", "deadline"],
            sa.select(due.c.customer_id, due.c.version, due.c.total, epoch, deadline),
        )
        .returning(ATTEMPT)
        .cte("opened")
    )
    what = opened.c.attempt_id, opened.c.customer_id, opened.c.version, opened.c.n, due.c.tries
    return sa.select(*what).join(due, due.c.customer_id == opened.c.customer_id)


CLAIM = _claim()


def mark_sent(database: sa.Connection, attempts: Sequence[Attempt]) -> None:
    """Write down that attempts are sent from now on; whatever happens, it may have been."""
    if not attempts:
        return
    ids = [attempt.id for attempt in attempts]
    of_these = ATTEMPT.c.attempt_id == sa.any_(sa.cast(sa.literal(ids, IDS), IDS))
    database.execute(sa.update(ATTEMPT).where(of_these).values(sent_at=NOW))


IDS = ARRAY(sa.BigInteger)


def record(database: sa.Connection, ended: Sequence[Ended]) -> None:
    """Close attempts and change their customers; what another poster has closed stays so."""
    if not ended:
        return
    _lock(database, [each.attempt.customer_id for each in ended])
    values = {
        "ids": [each.attempt.id for each in ended],
        "outcomes": [each.answer.outcome.value for each in ended],
        "statuses": [each.answer.status for each in ended],
        "waits": [each.wait for each in ended],
    }
    database.execute(RECORD, values)


def _record() -> sa.Update:
    ended = _rows(ids=sa.BigInteger, outcomes=sa.Text, statuses=sa.Integer, waits=sa.Float)
    close = sa.update(ATTEMPT).where(
        ATTEMPT.c.attempt_id == ended.c.ids, ATTEMPT.c.outcome.is_(None)
    )
    unsent = ended.c.outcomes == Outcome.UNSENT
    closed = (
        close.values(
            outcome=ended.c.outcomes,
            status=ended.c.statuses,
            ended_at=NOW,
            sent_at=sa.case((unsent, None), else_=ATTEMPT.c.sent_at),
        )
        .returning(ATTEMPT.c.customer_id, ATTEMPT.c.version, ATTEMPT.c.outcome, ended.c.waits)
        .cte("closed")
    )
    return (
        sa.update(CUSTOMER)
        .where(CUSTOMER.c.customer_id == closed.c.customer_id)
        .values(
            acked_version=_raised(CUSTOMER.c.acked_version, closed, Outcome.ACK),
            dead_version=_raised(CUSTOMER.c.dead_version, closed, Outcome.REJECT),
            is_doubtful=CUSTOMER.c.is_doubtful | (closed.c.outcome == Outcome.AMBIGUOUS),
            next_send=sa.case(
                (closed.c.outcome.in_((Outcome.UNSENT, Outcome.STOP)), CUSTOMER.c.next_send),
                (closed.c.waits > 0, NOW + _interval(closed.c.waits)),
            ),
        )
    )


def _rows(**types: type[sa.types.TypeEngine[Any]]) -> sa.TableValuedAlias:
    """Lists of one length, given by these names, as a table with one column each."""
    lists = [
        sa.cast(sa.bindparam(name, type_=ARRAY(type_)), ARRAY(type_))
        for name, type_ in types.items()
    ]
    columns = [sa.column(name, type_) for name, type_ in types.items()]
    return sa.func.unnest(*lists).table_valued(*columns).render_derived("ended")


def _raised(
    version: sa.Column[int], closed: sa.CTE, outcome: Outcome
) -> sa.ColumnElement[int | None]:
    """A customer's version, raised to the attempt's where that was its outcome."""
    higher = sa.func.greatest(version, closed.c.version)
    return sa.case((closed.c.outcome == outcome, higher), else_=version)


RECORD = _record()


def _lock(database: sa.Connection, customer_ids: Sequence[str]) -> None:
    """Lock rows in the order of their keys, as everybody does: no two wait for each other."""
    ids = sa.cast(sa.literal(customer_ids, ARRAY(sa.Text)), ARRAY(sa.Text))
    rows = sa.select(CUSTOMER.c.customer_id).where(CUSTOMER.c.customer_id == sa.any_(ids))
    database.execute(rows.order_by(CUSTOMER.c.customer_id).with_for_update())


def seconds_until_due(database: sa.Connection) -> float | None:
    """Seconds until a customer is due; 0 if one is; None if none is pending."""
    left = sa.func.coalesce(sa.extract("epoch", CUSTOMER.c.next_send - NOW), 0)
    first = sa.select(sa.func.greatest(left, 0)).where(PENDING).order_by(DUE_AT).limit(1)
    found = database.scalar(first)
    return None if found is None else float(found)


def pending(database: sa.Connection) -> int:
    """How many customers' totals are still to be confirmed; dead letters are not among them."""
    return database.scalar(sa.select(sa.func.count()).where(PENDING)) or 0


def ledger_id(database: sa.Connection) -> str:
    """What tells this ledger from every other one."""
    return str(database.scalar(sa.select(META.c.ledger_id)))
