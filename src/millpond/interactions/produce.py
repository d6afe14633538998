"""Made-up interactions for a topic, and the truth about them: what any count of them must say."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from millpond.catalog.interactions import Keys
from millpond.catalog.partitions import Hour
from millpond.errors import MillpondError
from millpond.interactions.broker import quiet_client

LAST_NAMES = ("Martin", "Lefèvre", "O'Neill", "Müller", "da Silva", "Nguyễn", "Łukasik", "Dupont")
FIRST_NAMES = ("Zoé", "Jean-Luc", "Anaïs", "José", "Ingrid", "Thị Hoa", "Paul", "Marie")
PLACES = ("Paris", "Saint-Étienne", "Kraków", "Cork", None)
# One of each kind that nobody can count.
BAD = (None, b"", b"not json", b'{"idClient": 1.5}', b'{"nom": "\xff"}', b'{"nom": "Dupont"}')
FLUSH_SECONDS = 60


@dataclass(frozen=True)
class Workload:
    """What to make: `rate` messages in each of `hours`, of which shares are anonymous and bad."""

    hours: tuple[Hour, ...]
    rate: int
    anonymous: float
    bad: float
    seed: int
    customers: int = 1000

    def __post_init__(self) -> None:
        if not 0 <= self.anonymous <= self.anonymous + self.bad <= 1:
            raise MillpondError(
                f"--anonymous {self.anonymous} and --bad {self.bad} are no shares: each is 0 to 1, "
                "and together they are at most 1"
            )


@dataclass
class Truth:
    """What was sent in an hour: counts by customer (the id as JSON) and by person, and the rest."""

    counts: Counter[str] = field(default_factory=Counter)
    anonymous: Counter[tuple[str | None, ...]] = field(default_factory=Counter)
    quarantined: int = 0

    def as_json(self) -> dict[str, Any]:
        """The hour as the truth file has it."""
        persons = sorted(self.anonymous.items(), key=str)
        return {
            "counts": dict(sorted(self.counts.items())),
            "anonymous": [[*person, count] for person, count in persons],
            "quarantined": self.quarantined,
        }


def produce(servers: str, topic: str, keys: Keys, workload: Workload) -> dict[Hour, Truth]:
    """Send the messages in the order of their times, and return the truth about them.

    Raises:
        MillpondError: Kafka did not take them all.
    """
    failed: list[KafkaError] = []

    def report(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error)

    producer = Producer(
        {**quiet_client(servers), "enable.idempotence": True, "compression.type": "lz4"}
    )
    truth = {hour: Truth() for hour in workload.hours}
    try:
        for hour, milliseconds, key, value in _messages(keys, workload, truth):
            at = int(hour.start.timestamp() * 1000) + milliseconds
            _send(producer, topic, key=key, value=value, timestamp=at, on_delivery=report)
        unsent = producer.flush(FLUSH_SECONDS)
    except KafkaException as error:
        raise _refused(servers, topic, error.args[0]) from error
    if unsent or failed:
        raise _refused(servers, topic, failed[0] if failed else KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001
    return truth


def _send(producer: Producer, topic: str, **message: Any) -> None:
    while True:
        try:
            producer.produce(topic, **message)
        except BufferError:  # the queue is full: let some of it go
            producer.poll(1)
        else:
            producer.poll(0)
            return


def _refused(servers: str, topic: str, error: KafkaError) -> MillpondError:
    return MillpondError(
        f"Kafka at {servers} did not take all messages of {topic}: {error.str()}; "
        "`millpond status` says whether it is up"
    )


def _messages(
    keys: Keys, workload: Workload, truth: dict[Hour, Truth]
) -> Iterator[tuple[Hour, int, str | None, bytes | None]]:
    """Hour, milliseconds into it, partitioning key and value; each is put down as true."""
    draw = random.Random(workload.seed)  # noqa: S311  reproducible on purpose
    for hour in workload.hours:
        for n in range(workload.rate):
            kind = draw.random()
            value: bytes | None
            if kind < workload.bad:
                truth[hour].quarantined += 1
                key, value = None, draw.choice(BAD)
            elif kind < workload.bad + workload.anonymous:
                person = _person(draw)
                truth[hour].anonymous[person] += 1
                key, value = None, _json(keys, None, person)
            else:
                id_ = _customer(draw, workload.customers)
                key = json.dumps(id_)
                truth[hour].counts[key] += 1
                value = _json(keys, id_, _person(draw))
            yield hour, n * 3_600_000 // workload.rate, key, value


def _customer(draw: random.Random, customers: int) -> int | str:
    """A few come often and most seldom; every tenth has a string for an id."""
    number = min(int(customers * draw.random() ** 3), customers - 1)
    return f"c-{number}" if number % 10 == 0 else number


def _person(draw: random.Random) -> tuple[str | None, ...]:
    birth = f"{draw.randint(1940, 2005)}-{draw.randint(1, 12):02}-{draw.randint(1, 28):02}"
    return (
        draw.choice(LAST_NAMES),
        draw.choice(FIRST_NAMES),
        draw.choice((birth, None)),
        draw.choice(PLACES),
    )


def _json(keys: Keys, id_: int | str | None, person: tuple[str | None, ...]) -> bytes:
    names = (keys.id, keys.last_name, keys.first_name, keys.birth_date, keys.birth_place)
    message = dict(zip(names, (id_, *person), strict=True))
    return json.dumps(message, ensure_ascii=False).encode()
