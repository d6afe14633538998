"""The topic of interactions as its broker has it: its settings, and the offsets of its partitions.

Offsets are asked for as a reader of committed messages sees them: a partition ends at its last
stable offset, before the first transaction that is still open.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from confluent_kafka import (
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType

from millpond.errors import BadInputError, MillpondError

if TYPE_CHECKING:
    from concurrent.futures import Future

ANSWER_SECONDS = 20

Answer = TypeVar("Answer")


def quiet_client(servers: str) -> dict[str, str | int | float | bool]:
    """A client's configuration: it says what is wrong in exceptions, not on standard error."""
    return {"bootstrap.servers": servers, "log_level": 0}


@dataclass(frozen=True)
class Topic:
    """What a topic is. `id` is Kafka's own: one that was deleted and made again has another."""

    name: str
    id: str
    partitions: tuple[int, ...]
    settings: Mapping[str, str]


class Broker:
    """The brokers at `servers`, asked about one topic."""

    def __init__(self, servers: str, topic: str) -> None:
        self._servers = servers
        self._topic = topic
        self._admin = AdminClient(quiet_client(servers))

    def topic(self) -> Topic:
        """The topic with its settings.

        Raises:
            BadInputError: There is none of that name.
            MillpondError: Kafka does not answer.
        """
        asked = self._admin.describe_topics(
            TopicCollection([self._topic]), request_timeout=ANSWER_SECONDS
        )
        found = self._result(asked[self._topic])
        resource = ConfigResource(ResourceType.TOPIC, self._topic)
        configs = self._admin.describe_configs([resource], request_timeout=ANSWER_SECONDS)
        settings = self._result(configs[resource])
        return Topic(
            name=self._topic,
            # As Kafka itself writes it, and its Java clients.
            id=str(found.topic_id).replace("+", "-").replace("/", "_"),
            partitions=tuple(sorted(partition.id for partition in found.partitions)),
            settings={name: str(entry.value) for name, entry in settings.items()},
        )

    def earliest(self, partitions: Iterable[int]) -> dict[int, int]:
        """The first offset that each partition still has."""
        return {p: found for p, (found, _) in self._offsets(partitions, OffsetSpec.earliest())}

    def last_stable(self, partitions: Iterable[int]) -> dict[int, int]:
        """The offset before which each partition has nothing that is still open."""
        return {p: found for p, (found, _) in self._offsets(partitions, OffsetSpec.latest())}

    def first_at(self, moment: datetime, partitions: Iterable[int]) -> dict[int, int | None]:
        """The first offset of each partition whose timestamp is `moment` or later, if any."""
        spec = OffsetSpec.for_timestamp(int(moment.timestamp() * 1000))
        return {p: None if at < 0 else at for p, (at, _) in self._offsets(partitions, spec)}

    def first_moment(self, partitions: Iterable[int]) -> datetime | None:
        """The timestamp of the earliest message, of all partitions; None without a message."""
        answers = self._offsets(partitions, OffsetSpec.for_timestamp(0))
        moments = [timestamp for _, (offset, timestamp) in answers if offset >= 0]
        return datetime.fromtimestamp(min(moments) / 1000, UTC) if moments else None

    def _offsets(
        self, partitions: Iterable[int], spec: OffsetSpec
    ) -> list[tuple[int, tuple[int, int]]]:
        asked = self._admin.list_offsets(
            {TopicPartition(self._topic, partition): spec for partition in partitions},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=ANSWER_SECONDS,
        )
        answers = ((of.partition, self._result(answer)) for of, answer in asked.items())
        return [(partition, (found.offset, found.timestamp)) for partition, found in answers]

    def _result(self, answer: "Future[Answer]") -> Answer:
        try:
            return answer.result()
        except KafkaException as error:
            cause: KafkaError = error.args[0]
            if cause.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise BadInputError(
                    f"topic {self._topic} does not exist on {self._servers}; `millpond up` creates "
                    "it, MILLPOND_INTERACTIONS_TOPIC names another"
                ) from error
            raise MillpondError(
                f"Kafka at {self._servers} did not answer about {self._topic}: {cause.str()}; "
                "`millpond status` says whether it is up, MILLPOND_KAFKA_SERVERS where it is"
            ) from error
