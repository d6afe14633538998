"""`millpond interactions`: made-up messages, how far hours are counted, and all of `customers`."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer

from millpond.catalog.interactions import COUNTS, Keys
from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.cli import customers
from millpond.cli.console import Format, amount, messages, partition_of, settings
from millpond.cli.tables import ListFormat, print_rows
from millpond.cluster.config import first_counted_hour, write_private
from millpond.errors import MillpondError
from millpond.interactions.broker import Broker, Topic
from millpond.interactions.ledger import Ledger
from millpond.interactions.produce import Workload
from millpond.interactions.produce import produce as send
from millpond.interactions.topic import findings
from millpond.lake.offsets import HourOffsets
from millpond.lake.receipts import Receipts
from millpond.lake.tables import StoredTable

HOURS_SHOWN = 24

interactions = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Interactions: made-up ones, and how far they count.",
)

Share = Annotated[float, typer.Option(help="a share, 0 to 1")]


@interactions.command()
def produce(
    hours: Annotated[int, typer.Option(min=1, help="how many hours to fill")] = 1,
    rate: Annotated[int, typer.Option(min=1, help="messages an hour")] = 1000,
    anonymous: Share = 0.1,
    bad: Share = 0.01,
    seed: Annotated[int, typer.Option(help="another seed makes other messages")] = 1,
    until: Annotated[
        str | None, typer.Option(help="YYYY-MM-DDTHH, not filled itself; this hour by default")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="file of what was sent; by default in MILLPOND_HOME")
    ] = None,
) -> None:
    """Send made-up interactions of past hours to Kafka, and write down what a count must say."""
    here = settings()
    end = partition_of(COUNTS, until) if until else Hour.of(datetime.now(UTC))
    assert isinstance(end, Hour)
    chosen = tuple(Hour.of(end.start - timedelta(hours=n)) for n in range(hours, 0, -1))
    file = truth or truth_file(here)
    _refuse_uncounted(here, chosen[0])
    _refuse_untold(file)
    keys = Keys.parse(here.interactions_keys)
    workload = Workload(chosen, rate, anonymous, bad, seed)
    sent = send(here.kafka_servers, here.interactions_topic, keys, workload)
    told = {
        "topic": here.interactions_topic,
        "hours": {str(h): t.as_json() for h, t in sent.items()},
    }
    write_private(file, json.dumps(told, indent=1, ensure_ascii=False))
    messages.print(
        f"sent {amount(hours * rate, 'message')} of {chosen[0]} to {chosen[-1]} to topic "
        f"{here.interactions_topic}; what a count must say is in {file}"
    )


def truth_file(here: Settings) -> Path:
    """Where the truth about made-up interactions is, unless told otherwise."""
    return here.home / "interactions-truth.json"


@interactions.command()
def status(format_: ListFormat = Format.TABLE) -> None:
    """List the sealed hours, the newest first, and what each was counted as."""
    here = settings()
    broker = Broker(here.kafka_servers, here.interactions_topic)
    topic = broker.topic()
    for finding in findings(topic):
        messages.print(f"topic {topic.name}: {finding}")
    sealed = Ledger(here.ledger_url).hours(topic.name, HOURS_SHOWN)
    rows = [_row(here, offsets) for offsets in sealed]
    print_rows(pa.Table.from_pylist(rows, schema=STATUS), format_)
    partitions = amount(len(topic.partitions), "partition")
    unsealed = amount(_unsealed(broker, topic, sealed), "offset")
    messages.print(
        f"topic {topic.name} has {partitions}, and {unsealed} after the last sealed hour"
    )


STATUS = pa.schema(
    [
        ("hour", pa.string()),
        *((name, pa.int64()) for name in ("offsets", "lost")),
        *((name, pa.int64()) for name in ("counted", "anonymous", "quarantined", "unreadable")),
        ("receipt", pa.int64()),
    ]
)


def _row(here: Settings, offsets: HourOffsets) -> dict[str, Any]:
    stored = StoredTable.of(here, COUNTS)
    receipts = Receipts.of(here, COUNTS, offsets.hour)
    receipt = receipts.read(stored.number(offsets.hour))
    return {
        "hour": str(offsets.hour),
        "offsets": sum(each.end - each.start for each in offsets.ranges),
        "lost": sum(each.lost for each in offsets.ranges),
        **(receipt.rows if receipt else {}),
        "receipt": receipt.number if receipt else None,
    }


def _unsealed(broker: Broker, topic: Topic, sealed: list[HourOffsets]) -> int:
    ends = {each.partition: each.end for each in sealed[0].ranges} if sealed else {}
    begin = broker.earliest(topic.partitions)
    stable = broker.last_stable(topic.partitions)
    return sum(stable[p] - ends.get(p, begin[p]) for p in topic.partitions)


def _refuse_uncounted(here: Settings, first: Hour) -> None:
    start = first_counted_hour(here)
    if start and first < start:
        raise MillpondError(
            f"{first} is before {start}, the first hour that is counted: messages of it never "
            "would be; choose fewer --hours or a later --until"
        )
    sealed = Ledger(here.ledger_url).sealed(here.interactions_topic)
    if sealed and sealed.hour and first <= sealed.hour:
        raise MillpondError(
            f"{first} is sealed already (as all hours up to {sealed.hour}): messages of it would "
            "count in a later hour; choose fewer --hours or a later --until"
        )


def _refuse_untold(truth: Path) -> None:
    """What has been sent cannot be taken back: its truth must have a place before."""
    if not truth.parent.is_dir():
        raise MillpondError(
            f"there is no folder {truth.parent} for the truth about what is sent; create it, or "
            "name another --truth"
        )


for of_customers in (
    *(customers.audit, customers.dead_letters, customers.resolve),
    *(customers.erase, customers.opening),
):
    interactions.command()(of_customers)
