"""apply: what an hour was counted as becomes part of the customers' totals, in one transaction.

A customer's total is the opening balance and all contributions of the customer's identities. It is
never computed anew: whatever changes a contribution, or whose it is, puts the difference down, and
the differences are added at the end. So hours may come in any order, and as often as one likes.

Homonyms are persons of one name of whom two or more have a birth date. The service is asked by name
alone and cannot tell them apart, so all persons of that name stay without a customer, also one
without a birth date, and also those whose answer had come before; whose answers come first makes no
difference. Only a decision by hand gives one of them a customer, and nothing undoes that.
"""

import csv
import io
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.crash import crash_point
from millpond.errors import SupersededError
from millpond.interactions.counted import CountedHour, keys_of, read_counted
from millpond.interactions.identities import Person
from millpond.interactions.ledger import Ledger, no_such_person
from millpond.interactions.schema import APPLIED_HOUR, CUSTOMER

log = logging.getLogger(__name__)

# What lasts as long as the transaction. In 64 MB, 100,000 rows are sorted without files.
# `incoming` is what the hour has of each identity, `move` whose customer changes, `difference` what
# is to be added to totals.
TEMPORARY = """
SET LOCAL work_mem = '64MB';
CREATE TEMPORARY TABLE incoming (
    identity text NOT NULL, customer_id text, name_key text, has_birth boolean, n bigint NOT NULL
) ON COMMIT DROP;
CREATE TEMPORARY TABLE move (
    identity text NOT NULL, state text NOT NULL, former_id text, customer_id text
) ON COMMIT DROP;
CREATE TEMPORARY TABLE difference (customer_id text NOT NULL, d bigint NOT NULL) ON COMMIT DROP
"""

ADD_CUSTOMERS = """
INSERT INTO customer (customer_id, total, version)
SELECT customer_id, 0, 0
FROM (
    SELECT customer_id FROM incoming WHERE customer_id IS NOT NULL
    UNION
    SELECT answer FROM identity WHERE state = 'open' AND answer IS NOT NULL
) AS named
WHERE NOT EXISTS (SELECT FROM customer WHERE customer.customer_id = named.customer_id)
"""

ADD_IDENTITIES = """
INSERT INTO identity (identity, customer_id, state, name_key, has_birth, last_hour)
SELECT identity, customer_id, CASE WHEN customer_id IS NULL THEN 'open' ELSE 'known' END, name_key,
       has_birth, :hour
FROM incoming
WHERE NOT EXISTS (SELECT FROM identity WHERE identity.identity = incoming.identity);
UPDATE identity SET last_hour = :hour
FROM incoming
WHERE identity.identity = incoming.identity AND incoming.customer_id IS NULL AND last_hour < :hour
"""

# Persons of a name that the hour has, or whose answer has come, whose state is another now.
JUDGE = """
WITH named AS (
    SELECT name_key, count(*) FILTER (WHERE has_birth) > 1 AS is_homonym
    FROM identity
    WHERE name_key IN (
        SELECT name_key FROM incoming
        UNION
        SELECT name_key FROM identity WHERE state = 'open' AND answer IS NOT NULL
    )
    GROUP BY name_key
), judged AS (
    SELECT identity, state AS former_state, customer_id AS former_id,
           CASE WHEN is_homonym THEN 'homonym' WHEN answer IS NULL THEN 'open' ELSE 'resolved' END
               AS state,
           CASE WHEN NOT is_homonym THEN answer END AS customer_id
    FROM identity JOIN named USING (name_key)
    WHERE state IN ('open', 'resolved', 'homonym')
)
INSERT INTO move
SELECT identity, state, former_id, customer_id FROM judged WHERE state <> former_state
"""

DECIDE = """
INSERT INTO move SELECT identity, 'decided', customer_id, :customer_id FROM identity
WHERE identity = :identity AND state <> 'known'
"""

# What an identity has contributed leaves one customer and comes to another.
MOVE = """
INSERT INTO difference
SELECT former_id, -n FROM move JOIN contribution USING (identity) WHERE former_id IS NOT NULL
UNION ALL
SELECT customer_id, n FROM move JOIN contribution USING (identity) WHERE customer_id IS NOT NULL;
UPDATE identity SET state = move.state, customer_id = move.customer_id, reason = NULL
FROM move
WHERE identity.identity = move.identity
"""

REPLACE = """
INSERT INTO difference
SELECT identity.customer_id, coalesce(incoming.n, 0) - coalesce(former.n, 0)
FROM (SELECT identity, n FROM contribution WHERE hour = :hour) AS former
FULL JOIN incoming USING (identity)
JOIN identity USING (identity)
WHERE identity.customer_id IS NOT NULL AND incoming.n IS DISTINCT FROM former.n;
DELETE FROM contribution
WHERE hour = :hour AND NOT EXISTS (
    SELECT FROM incoming WHERE incoming.identity = contribution.identity
);
INSERT INTO contribution (hour, identity, n)
SELECT :hour, identity, n FROM incoming ORDER BY identity
ON CONFLICT (hour, identity) DO UPDATE SET n = excluded.n WHERE contribution.n <> excluded.n
"""

# What the service may not have is sent once more, under a new version.
DOUBT = """
INSERT INTO difference SELECT customer_id, 0 FROM customer WHERE is_doubtful
"""

LOCK_CUSTOMERS = """
ANALYZE difference;
SELECT FROM customer WHERE customer_id IN (SELECT customer_id FROM difference)
ORDER BY customer_id FOR UPDATE
"""

CHANGE_CUSTOMERS = """
WITH summed AS (
    SELECT customer_id, sum(d) AS d FROM difference GROUP BY customer_id
), changed AS (
    UPDATE customer SET total = total + summed.d, version = version + 1, is_doubtful = false
    FROM summed
    WHERE customer.customer_id = summed.customer_id AND (summed.d <> 0 OR is_doubtful)
    RETURNING customer.customer_id, version
)
INSERT INTO change (hour, customer_id, version)
SELECT :hour, customer_id, version FROM changed
ON CONFLICT (hour, customer_id) DO UPDATE SET version = excluded.version, changed_at = now()
"""


def apply_hour(settings: Settings, hour: Hour) -> None:
    """Have the totals contain an hour as it was counted last."""
    apply(Ledger(settings.ledger_url), read_counted(settings, hour, keys_of(settings)))


def apply(ledger: Ledger, counted: CountedHour) -> int:
    """Have the totals contain the hour as it was counted; the number of customers it changes.

    Raises:
        SupersededError: A later count of the hour is applied.
    """
    with changing_totals(ledger) as database:
        _record(database, counted)
        bring(database, _rows(counted))
        for step in (ADD_CUSTOMERS, ADD_IDENTITIES, JUDGE, MOVE, REPLACE, DOUBT):
            database.execute(sa.text(step), {"hour": counted.hour.start})
        changed = _change_customers(database, counted.hour)
        crash_point("applying")
    crash_point("applied")
    log.info(
        "%s by receipt %d: %d interactions with an id and %d without, %d customers changed",
        *(counted.hour, counted.receipt, counted.counted, counted.anonymous, changed),
    )
    return changed


def decide(ledger: Ledger, identity: str, customer_id: str) -> int:
    """Have a person be a customer, for good; the number of customers whose total that changes.

    Raises:
        MillpondError: The ledger has no such person.
    """
    values = {"identity": identity, "customer_id": customer_id}
    with changing_totals(ledger) as database:
        if database.execute(sa.text(DECIDE), values).rowcount == 0:
            raise no_such_person(identity)
        customer = {"customer_id": customer_id, "total": 0, "version": 0}
        database.execute(postgresql.insert(CUSTOMER).on_conflict_do_nothing(), customer)
        database.execute(sa.text(MOVE))
        # Totals change only if an hour is applied; the newest one answers for this change.
        newest = database.scalar(sa.select(sa.func.max(APPLIED_HOUR.c.hour)))
        return _change_customers(database, Hour.of(newest)) if newest else 0


@contextmanager
def changing_totals(ledger: Ledger) -> Iterator[sa.Connection]:
    """A transaction that may change totals; the temporary tables are there."""
    with changing_persons(ledger) as database:
        database.execute(sa.text(TEMPORARY))
        yield database


@contextmanager
def changing_persons(ledger: Ledger) -> Iterator[sa.Connection]:
    """A transaction that changes what is known of persons, or totals, one at a time.

    An apply looks at persons more than once, and none may be another then.
    """
    with ledger.transaction() as database:
        database.execute(sa.text("LOCK TABLE contribution IN SHARE ROW EXCLUSIVE MODE"))
        yield database


def bring(database: sa.Connection, rows: Iterable[tuple[object, ...]]) -> None:
    """Fill `incoming`: identity, customer_id, name_key, has_birth, n."""
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    text.seek(0)
    driver = database.connection.cursor()
    driver.copy_expert("COPY incoming FROM STDIN (FORMAT csv)", text)
    database.execute(sa.text("ANALYZE incoming"))


def person_rows(persons: Mapping[Person, int]) -> Iterator[tuple[object, ...]]:
    """Persons as rows of `incoming`."""
    return ((p.identity, None, p.name_key, p.has_birth, n) for p, n in persons.items())


def _rows(counted: CountedHour) -> Iterator[tuple[object, ...]]:
    yield from ((f"id:{id_}", id_, None, False, n) for id_, n in counted.customers.items())
    yield from person_rows(counted.persons)


def _record(database: sa.Connection, counted: CountedHour) -> None:
    columns = APPLIED_HOUR.c
    values = {
        "receipt": counted.receipt,
        "rows": counted.rows,
        "counted": counted.counted,
        "anonymous": counted.anonymous,
        "quarantined": counted.quarantined,
        "applied_at": sa.func.now(),
    }
    added = postgresql.insert(APPLIED_HOUR).values(hour=counted.hour.start, **values)
    not_older = columns.receipt <= counted.receipt
    kept = added.on_conflict_do_update(index_elements=["hour"], set_=values, where=not_older)
    if database.execute(kept.returning(columns.receipt)).one_or_none() is None:
        raise SupersededError(
            f"receipt {counted.receipt} of {counted.hour} is older than the one that is applied; "
            "the totals stay"
        )


def _change_customers(database: sa.Connection, hour: Hour) -> int:
    database.execute(sa.text(LOCK_CUSTOMERS))
    return database.execute(sa.text(CHANGE_CUSTOMERS), {"hour": hour.start}).rowcount
