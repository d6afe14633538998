"""The ledger's tables. Their constraints are the rules: what cannot be, the database refuses.

Names and birth dates are in none of them: a person is a keyed hash of these.
"""

import sqlalchemy as sa

SCHEMA_VERSION = 3

SCHEMA = sa.MetaData()


def _moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _now(name: str) -> sa.Column[object]:
    moment = sa.DateTime(timezone=True)
    return sa.Column(name, moment, nullable=False, server_default=sa.func.now())


META = sa.Table(
    "meta",
    SCHEMA,
    sa.Column("one", sa.Boolean, sa.CheckConstraint("one"), primary_key=True, default=True),
    sa.Column("ledger_id", sa.Uuid, nullable=False, server_default=sa.func.gen_random_uuid()),
    sa.Column("schema_version", sa.Integer, nullable=False),
)

TOPIC = sa.Table(
    "topic",
    SCHEMA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("topic_id", sa.Text, nullable=False),
)

# The ranges of a partition are a chain: each refers to the one of the hour before by its end, so
# none can overlap, leave a gap, or be the first a second time; a trigger refuses any change.
OFFSET_RANGE = sa.Table(
    "offset_range",
    SCHEMA,
    sa.Column("topic", sa.Text, sa.ForeignKey(TOPIC.c.name), primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("hour", sa.DateTime(timezone=True), primary_key=True),
    # The hour before, whose end is this one's start; null for a partition's first range.
    _moment("previous_hour", nullable=True),
    sa.Column("start", sa.BigInteger, nullable=False),
    sa.Column("end", sa.BigInteger, nullable=False),
    sa.Column("lost", sa.BigInteger, nullable=False),
    sa.Column("how", sa.Text, nullable=False),
    _now("sealed_at"),
    sa.UniqueConstraint("topic", "partition", "hour", "end", name="offset_range_end"),
    sa.ForeignKeyConstraint(
        ["topic", "partition", "previous_hour", "start"],
        ["offset_range.topic", "offset_range.partition", "offset_range.hour", "offset_range.end"],
        name="offset_range_follows",
    ),
    sa.CheckConstraint("hour = date_trunc('hour', hour, 'UTC')", name="offset_range_is_an_hour"),
    sa.CheckConstraint("previous_hour = hour - interval '1 hour'", name="offset_range_is_next"),
    sa.CheckConstraint(
        'partition >= 0 AND 0 <= start AND start <= "end"', name="offset_range_order"
    ),
    sa.CheckConstraint('0 <= lost AND lost <= "end" - start', name="offset_range_lost"),
    sa.CheckConstraint("how IN ('time', 'last_stable')", name="offset_range_how"),
)
sa.Index(
    "offset_range_first",
    OFFSET_RANGE.c.topic,
    OFFSET_RANGE.c.partition,
    unique=True,
    postgresql_where=OFFSET_RANGE.c.previous_hour.is_(None),
)

# `version` grows by one with each change of `total`. `acked_version` is the last one the service
# has confirmed, `dead_version` one that it rejected. `is_doubtful`: what the service holds was
# unknown at some time, so the next hour sends the total once more, under a new version.
CUSTOMER = sa.Table(
    "customer",
    SCHEMA,
    sa.Column("customer_id", sa.Text, primary_key=True),  # the id's JSON text
    sa.Column("opening", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("acked_version", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("dead_version", sa.BigInteger),
    sa.Column("is_doubtful", sa.Boolean, nullable=False, server_default=sa.false()),
    _moment("next_send", nullable=True),  # not before, as the service asked or after a failure
    sa.CheckConstraint("0 <= opening AND opening <= total", name="customer_total"),
    sa.CheckConstraint("0 <= acked_version AND acked_version <= version", name="customer_acked"),
    sa.CheckConstraint("0 < dead_version AND dead_version <= version", name="customer_dead"),
)

# Whose total the service has not confirmed, and when it may be sent. A poster asks for those that
# are due many times a second, and for the earliest of the others: with a million pending it reads
# the beginning of this index, not the table.
PENDING = sa.and_(
    CUSTOMER.c.version > CUSTOMER.c.acked_version,
    CUSTOMER.c.dead_version.is_distinct_from(CUSTOMER.c.version),
)
DUE_AT = sa.func.coalesce(CUSTOMER.c.next_send, sa.text("'-infinity'::timestamptz"))
sa.Index("customer_pending", DUE_AT, postgresql_where=PENDING)

# An identity is `id:` with the id's JSON text, or `person:` with the keyed hash of first name, last
# name and birth date. `name_key` is the hash of the names alone; persons who share it and have
# different birth dates are homonyms. `last_hour` is a person's newest hour: where the names are
# found in the personal tables. `answer` is the service's first valid answer.
IDENTITY = sa.Table(
    "identity",
    SCHEMA,
    sa.Column("identity", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.Text, sa.ForeignKey(CUSTOMER.c.customer_id), index=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("name_key", sa.Text, index=True),
    sa.Column("has_birth", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("answer", sa.Text),
    sa.Column("asks", sa.Integer, nullable=False, server_default="0"),
    _moment("next_ask", nullable=True),
    _moment("last_hour"),
    sa.CheckConstraint(
        "identity LIKE 'id:_%' OR identity ~ '^person:[0-9a-f]{64}$'", name="identity_form"
    ),
    sa.CheckConstraint(
        "state IN ('known', 'open', 'resolved', 'homonym', 'decided', 'erased')",
        name="identity_state",
    ),
    sa.CheckConstraint(
        "(state IN ('known', 'resolved', 'decided')) = (customer_id IS NOT NULL)",
        name="identity_has_customer",
    ),
    sa.CheckConstraint(
        "CASE WHEN state = 'known' THEN identity = 'id:' || customer_id "
        "ELSE identity LIKE 'person:%' AND name_key IS NOT NULL END",
        name="identity_known",
    ),
)

# By which key the persons are hashed: a hash of that key, which tells it from others and no more.
PERSON_KEY = sa.Table(
    "person_key",
    SCHEMA,
    sa.Column("one", sa.Boolean, sa.CheckConstraint("one"), primary_key=True, default=True),
    sa.Column("fingerprint", sa.Text, nullable=False),
)

# An hour as it is applied: by which receipt of `interactions_counts`, and what that receipt says.
APPLIED_HOUR = sa.Table(
    "applied_hour",
    SCHEMA,
    sa.Column("hour", sa.DateTime(timezone=True), primary_key=True),
    sa.Column("receipt", sa.Integer, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("counted", sa.BigInteger, nullable=False),
    sa.Column("anonymous", sa.BigInteger, nullable=False),
    sa.Column("quarantined", sa.BigInteger, nullable=False),
    _now("applied_at"),
    sa.CheckConstraint("hour = date_trunc('hour', hour, 'UTC')", name="applied_hour_is_an_hour"),
    sa.CheckConstraint("rows = counted + anonymous + quarantined", name="applied_hour_balance"),
    sa.CheckConstraint("least(counted, anonymous, quarantined) >= 0", name="applied_hour_counts"),
)

CONTRIBUTION = sa.Table(
    "contribution",
    SCHEMA,
    sa.Column(
        "hour", sa.DateTime(timezone=True), sa.ForeignKey(APPLIED_HOUR.c.hour), primary_key=True
    ),
    sa.Column("identity", sa.Text, sa.ForeignKey(IDENTITY.c.identity), primary_key=True),
    sa.Column("n", sa.BigInteger, nullable=False),
    sa.CheckConstraint("n > 0", name="contribution_counts"),
)
sa.Index("contribution_identity", CONTRIBUTION.c.identity)

# Which version of a customer an hour's apply made: what its reconciliation asks about.
CHANGE = sa.Table(
    "change",
    SCHEMA,
    sa.Column(
        "hour", sa.DateTime(timezone=True), sa.ForeignKey(APPLIED_HOUR.c.hour), primary_key=True
    ),
    sa.Column("customer_id", sa.Text, sa.ForeignKey(CUSTOMER.c.customer_id), primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    _now("changed_at"),
)

# Each task that posts takes the next epoch; what an earlier one still has open it waits for.
POSTER = sa.Table(
    "poster",
    SCHEMA,
    sa.Column("epoch", sa.Integer, sa.Identity(), primary_key=True),
    _now("started_at"),
)

# One request to the service. It is written before the request is sent, and not sent after its
# deadline; `outcome` is null until it is known. At most one of a customer is open.
ATTEMPT = sa.Table(
    "attempt",
    SCHEMA,
    sa.Column("attempt_id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("customer_id", sa.Text, sa.ForeignKey(CUSTOMER.c.customer_id), nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("n", sa.BigInteger, nullable=False),
    sa.Column("epoch", sa.Integer, sa.ForeignKey(POSTER.c.epoch), nullable=False),
    _moment("deadline"),
    _moment("sent_at", nullable=True),
    _moment("ended_at", nullable=True),
    sa.Column("outcome", sa.Text),
    sa.Column("status", sa.Integer),  # of HTTP; null without an answer
    sa.CheckConstraint(
        "outcome IN ('ack', 'retry', 'ambiguous', 'reject', 'stop', 'unsent')",
        name="attempt_outcome",
    ),
    sa.CheckConstraint("(outcome IS NULL) = (ended_at IS NULL)", name="attempt_ended"),
    sa.CheckConstraint("outcome <> 'ack' OR status BETWEEN 200 AND 299", name="attempt_acked"),
)
sa.Index(
    "attempt_one_open",
    ATTEMPT.c.customer_id,
    unique=True,
    postgresql_where=ATTEMPT.c.outcome.is_(None),
)

# How often a version was tried, and what is known of a customer.
sa.Index("attempt_of_version", ATTEMPT.c.customer_id, ATTEMPT.c.version)

NEVER_CHANGED = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is never changed', TG_TABLE_NAME; END $$;
CREATE OR REPLACE TRIGGER never_changed BEFORE UPDATE OR DELETE ON offset_range
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER never_emptied BEFORE TRUNCATE ON offset_range
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""
