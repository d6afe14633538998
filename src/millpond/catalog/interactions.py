"""Interactions: what a message has, and the tables that an hour of them becomes."""

from dataclasses import dataclass
from urllib.parse import quote, unquote

from millpond.catalog.tables import HOUR, Column, Expectation, Table

# More than this is no interaction: the five strings of a message have a few hundred bytes.
LARGEST_MESSAGE = 2**20
LONGEST_ID = 128

INTERACTIONS = Column("interactions", "bigint", "number of interactions")


@dataclass(frozen=True)
class Keys:
    """The JSON keys of a message."""

    id: str
    last_name: str
    first_name: str
    birth_date: str
    birth_place: str

    @classmethod
    def parse(cls, text: str) -> "Keys":
        """The keys in the order above, by commas."""
        return cls(*text.split(","))

    def __str__(self) -> str:
        return ",".join(vars(self).values())

    def argument(self) -> str:
        """The keys for a command line in any locale: percent-encoded."""
        return quote(str(self), safe=",")

    @classmethod
    def from_argument(cls, text: str) -> "Keys":
        """The keys that such an argument has."""
        return cls.parse(unquote(text))


@dataclass(frozen=True)
class Contract:
    """The customer service's paths, and the JSON keys of its bodies."""

    get_path: str
    post_path: str
    first_name: str
    last_name: str
    id: str
    count: str

    @classmethod
    def parse(cls, paths: str, keys: str) -> "Contract":
        """Both in the order above, by commas."""
        return cls(*paths.split(","), *keys.split(","))


COUNTS = Table(
    name="interactions_counts",
    path="interactions/counts",
    meaning="interactions of each customer in an hour, by arrival; those with an id",
    columns=(
        Column("customer_id", "string", 'the id as JSON: `12` and `"12"` are two customers'),
        INTERACTIONS,
    ),
    order=("-interactions", "customer_id"),
    partition=HOUR,
    allow_empty=True,
    expectations=(
        Expectation("smallest_count", "min(interactions)", minimum=1),
        Expectation("repeated_ids", "count(*) - count(DISTINCT customer_id)", maximum=0),
    ),
)

ANONYMOUS = Table(
    name="interactions_anonymous",
    path="interactions/_personal/anonymous",
    meaning="interactions without an id in an hour, by the strings as they were sent",
    columns=(
        Column("last_name", "string", "never empty"),
        Column("first_name", "string", "never empty"),
        Column("birth_date", "string", "null if none was sent"),
        Column("birth_place", "string", "null if none was sent"),
        INTERACTIONS,
    ),
    order=("last_name", "first_name", "birth_date", "birth_place"),
    partition=HOUR,
    allow_empty=True,
)

QUARANTINE = Table(
    name="interactions_quarantine",
    path="interactions/_personal/quarantine",
    meaning="messages of an hour that are no interaction, with the reason",
    columns=(
        Column("partition", "int", "of the topic"),
        Column("offset", "bigint", "in the partition"),
        Column("reason", "string", "a reason code; the first that applies"),
    ),
    order=("partition", "offset"),
    partition=HOUR,
    allow_empty=True,
)

VERSION = Column("version", "bigint", "1 for the customer's first total, one more for each change")

TOTALS = Table(
    name="interactions_totals",
    path="interactions/totals",
    meaning="customers whose total an hour changed, as they are when the hour ends; of the rows of "
    "a customer the one with the greatest version is the latest",
    columns=(
        Column("customer_id", "string", "the id as JSON"),
        Column("total", "bigint", "all interactions, the opening balance included"),
        Column("opening", "bigint", "the opening balance; 0 without one"),
        VERSION,
        Column("acked_version", "bigint", "the last version that the service has confirmed"),
    ),
    order=("-total", "customer_id"),
    partition=HOUR,
    allow_empty=True,
)

DELIVERIES = Table(
    name="interactions_deliveries",
    path="interactions/deliveries",
    meaning="requests to the customer service with the totals that an hour made",
    columns=(
        Column("attempt_id", "bigint", "in the order in which they were planned"),
        Column("customer_id", "string", "the id as JSON"),
        VERSION,
        Column("n", "bigint", "the total that was sent"),
        Column("sent_at", "timestamp", "null if it was not sent"),
        Column("outcome", "string", "ack, retry, ambiguous, reject, stop or unsent; null if open"),
        Column("status", "int", "of HTTP; null without an answer"),
    ),
    order=("attempt_id",),
    partition=HOUR,
    allow_empty=True,
)

BALANCE = Table(
    name="interactions_balance",
    path="interactions/balance",
    meaning="what became of an hour's messages, and of the totals that it changed",
    columns=(
        Column("rows", "bigint", "messages read"),
        Column("counted", "bigint", "of them with an id"),
        Column("anonymous", "bigint", "of them without an id, with names"),
        Column("quarantined", "bigint", "of them no interaction"),
        Column("contributions", "bigint", "what the hour contributes in the ledger"),
        Column("assigned", "bigint", "contributions of all hours that have a customer"),
        Column("totals", "bigint", "totals of all customers, without the opening balances"),
        Column("changed", "bigint", "customers whose total the hour changed"),
        Column("acked", "bigint", "of them with that version confirmed, or a later one"),
        Column("dead", "bigint", "of them rejected by the service"),
        Column("pending", "bigint", "of them with neither yet"),
        Column("overdue", "bigint", "customers of any hour that are pending for over 2 hours"),
    ),
    order=("rows",),
    partition=HOUR,
)

TABLES = (QUARANTINE, ANONYMOUS, COUNTS, TOTALS, DELIVERIES, BALANCE)
