"""The topic's settings: what an exact count needs of them, made once and looked at every hour."""

from collections.abc import Iterator
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from millpond.errors import BadInputError, MillpondError
from millpond.interactions.broker import ANSWER_SECONDS, Topic, quiet_client

PARTITIONS = 3
HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS
# How far back an hour may be counted anew; Kafka must keep its messages for longer than that.
BACKFILL_DAYS = 30
LARGEST_BYTES = 10 * 2**20

SETTINGS = {
    # Compaction removes messages, and with them what they count.
    "cleanup.policy": "delete",
    "retention.ms": str((BACKFILL_DAYS + 5) * DAY_MS),
    "retention.bytes": "-1",
    # A message from the future would stand for the beginning of hours that have not come: the
    # broker refuses one of more than an hour ahead.
    "message.timestamp.type": "CreateTime",
    "message.timestamp.after.max.ms": str(HOUR_MS),
    # A message over the limit is put into quarantine; a producer that is refused loses it.
    "max.message.bytes": str(LARGEST_BYTES),
}


def create(servers: str, name: str, partitions: int = PARTITIONS) -> None:
    """Create the topic, unless it exists; one that exists stays as it is.

    Raises:
        MillpondError: Kafka refuses.
    """
    topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=SETTINGS)
    # A client without a name would be gone before its answer comes.
    client = AdminClient(quiet_client(servers))
    try:
        client.create_topics([topic], request_timeout=ANSWER_SECONDS)[name].result()
    except KafkaException as error:
        cause: KafkaError = error.args[0]
        if cause.code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise MillpondError(
                f"Kafka at {servers} did not create topic {name}: {cause.str()}; see its log"
            ) from error


def refuse_compacted(topic: Topic) -> None:
    """Raise BadInputError for a topic that Kafka compacts: it does not have every message."""
    if topic.settings["cleanup.policy"] != "delete":
        raise BadInputError(
            f"topic {topic.name} has cleanup.policy={topic.settings['cleanup.policy']}, which "
            "removes messages that would have to be counted; set it to delete"
        )


@dataclass(frozen=True)
class Finding:
    """A setting that puts later hours at risk, and what it should be."""

    setting: str
    value: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.setting} is {self.value}: {self.remedy}"


def findings(topic: Topic) -> Iterator[Finding]:
    """Settings with which this hour can be counted, and a later one perhaps not."""
    retention = topic.settings["retention.ms"]
    if 0 <= int(retention) < BACKFILL_DAYS * DAY_MS:
        remedy = f"an hour can be counted anew for {BACKFILL_DAYS} days only with more than that"
        yield Finding("retention.ms", retention, remedy)
    if (size := topic.settings["retention.bytes"]) != "-1":
        yield Finding("retention.bytes", size, "messages may go before they are counted; use -1")
    ahead = topic.settings["message.timestamp.after.max.ms"]
    by_arrival = topic.settings["message.timestamp.type"] == "LogAppendTime"
    if int(ahead) > HOUR_MS and not by_arrival:
        remedy = f"one message from the future ends hours before their time; use {HOUR_MS}"
        yield Finding("message.timestamp.after.max.ms", ahead, remedy)
