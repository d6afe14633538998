"""Counting an hour of interactions: the application on YARN beside a plain Python consumer.

    MILLPOND_HOME=... python -m benchmarks.interactions [MESSAGES [PARTITIONS]]

On a platform that runs, it makes a topic of its own, fills one past hour of it, seals the hour,
and counts it by the application (submitted as the DAG does) and by a consumer that does the same
job in one process: it reads the same offsets, each once and in order, tells ids, persons and bad
messages apart by the same rules, counts each, and writes the same three tables on HDFS. Both
results must agree. It prints seconds and their ratio.
"""

import json
import os
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pyarrow as pa
from confluent_kafka import Consumer, Message, TopicPartition
from deltalake import write_deltalake

from millpond.catalog.interactions import (
    ANONYMOUS,
    COUNTS,
    LARGEST_MESSAGE,
    LONGEST_ID,
    QUARANTINE,
    TABLES,
    Keys,
)
from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.cluster.config import airflow_environment
from millpond.interactions import topic
from millpond.interactions.broker import quiet_client
from millpond.interactions.produce import Workload, produce
from millpond.interactions.seal import seal
from millpond.lake.hdfs import Hdfs
from millpond.lake.offsets import HourOffsets
from millpond.lake.receipts import Receipts
from millpond.lake.tables import StoredTable
from millpond.run import Run
from millpond.yarn import ResourceManager

PARTITIONS = 64
CUSTOMERS = 100_000

PERSONS = pa.schema(
    [
        *((name, pa.string()) for name in ("last_name", "first_name", "birth_date", "birth_place")),
        ("interactions", pa.int64()),
    ]
)
QUARANTINED = pa.schema([("partition", pa.int32()), ("offset", pa.int64())])

Result = TypeVar("Result")


def timed(what: str, act: Callable[[], Result]) -> tuple[Result, float]:
    """The result, and the seconds it took."""
    began = time.monotonic()
    result = act()
    seconds = time.monotonic() - began
    print(f"{what}: {seconds:.1f} s")
    return result, seconds


@dataclass
class Plainly:
    """An hour as a plain loop counts it."""

    keys: Keys
    customers: Counter[str] = field(default_factory=Counter)
    persons: Counter[tuple[str | None, ...]] = field(default_factory=Counter)
    bad: list[tuple[int, int]] = field(default_factory=list)

    def take(self, message: Message) -> None:
        """Count a message as what it is."""
        content = parsed(message.value())
        id_ = content.get(self.keys.id) if content is not None else 1.5
        if is_id(id_):
            self.customers[json.dumps(id_, ensure_ascii=False)] += 1
        elif id_ in (None, "") and content and is_person(person := self._person(content)):
            self.persons[person] += 1
        else:
            self.bad.append((message.partition() or 0, message.offset() or 0))

    def _person(self, content: dict[str, Any]) -> tuple[Any, ...]:
        keys = self.keys
        names = (keys.last_name, keys.first_name, keys.birth_date, keys.birth_place)
        return tuple(map(content.get, names))

    def write(self, url: str) -> None:
        """The three tables, beside those of the application."""
        names = ("last_name", "first_name", "birth_date", "birth_place", "interactions")
        persons = [dict(zip(names, (*p, n), strict=True)) for p, n in self.persons.items()]
        counts = {"customer_id": [*self.customers], "interactions": [*self.customers.values()]}
        bad = [{"partition": partition, "offset": offset} for partition, offset in self.bad]
        write_deltalake(f"{url}/counts", pa.table(counts))
        write_deltalake(f"{url}/anonymous", pa.Table.from_pylist(persons, PERSONS))
        write_deltalake(f"{url}/quarantine", pa.Table.from_pylist(bad, QUARANTINED))


def parsed(value: bytes | None) -> dict[str, Any] | None:
    """A message's object; None if it is none."""
    try:
        content = json.loads(value or b"null") if len(value or b"") <= LARGEST_MESSAGE else None
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def is_id(value: object) -> bool:
    """Whether it is a whole number of 64 bits, or a string of 1 to 128 characters."""
    if type(value) is int:
        return -(2**63) <= value < 2**63
    return isinstance(value, str) and 1 <= len(value) <= LONGEST_ID


def is_person(strings: tuple[Any, ...]) -> bool:
    """Whether two names are there, and the rest is a string or absent."""
    return all(each is None or isinstance(each, str) for each in strings) and all(
        each and each.strip(" ") for each in strings[:2]
    )


def count_plainly(here: Settings, offsets: HourOffsets) -> Plainly:
    """Count an hour by one consumer in this process, and write what it came to."""
    counted = Plainly(Keys.parse(here.interactions_keys))
    client = {**quiet_client(here.kafka_servers), "group.id": "plain", "enable.auto.commit": False}
    consumer = Consumer({**client, "isolation.level": "read_committed"})
    filled = [each for each in offsets.ranges if each.start < each.end]
    consumer.assign([TopicPartition(offsets.topic, r.partition, r.start) for r in filled])
    ends = {each.partition: each.end for each in filled}
    following = {each.partition: each.start for each in filled}
    remaining = sum(each.end - each.start for each in filled)
    while remaining:
        for message in consumer.consume(10_000, 1.0):
            partition, offset = message.partition() or 0, message.offset() or 0
            if offset >= ends[partition]:
                continue
            assert offset == following[partition], "an offset twice, or none"
            following[partition] += 1
            remaining -= 1
            counted.take(message)
    consumer.close()
    counted.write(f"{here.hdfs_url}{here.root}/plain")
    return counted


def count_on_yarn(here: Settings, hour: Hour) -> None:
    """Submit the application as the DAG does, and wait for its end."""
    # Airflow reads its configuration when it is imported.
    os.environ.update(airflow_environment(here))
    from millpond.airflow.following import follow  # noqa: PLC0415
    from millpond.airflow.interactions import count_task  # noqa: PLC0415

    run = Run(hour, here.interactions_topic, 1, "benchmark", here.root)
    Receipts(Hdfs(here.hdfs_url), here.root, COUNTS.name, hour).claim(run.name)
    yarn = ResourceManager.of(here)
    submitted = count_task()._submit(yarn, run, (f"mp-{here.interactions_topic}",))  # noqa: SLF001
    ended = follow(yarn, submitted)
    assert ended.final_status == "SUCCEEDED", ended
    print(f"  of which in YARN: {(ended.finished - ended.started) / 1000:.1f} s")


def main(messages: int, partitions: int) -> None:
    """Measure, and print."""
    load = os.getloadavg()[0]
    name = f"bench-{uuid.uuid4().hex[:8]}"
    hour = Hour.of(datetime.now(UTC) - timedelta(hours=2))
    here = replace(
        Settings.from_env(os.environ),
        interactions_topic=name,
        interactions_start=hour,
        root=f"/benchmarks/{name}",
    )
    topic.create(here.kafka_servers, name, partitions)
    for table in TABLES:
        StoredTable(table, here.hdfs_url, here.root).create()
    workload = Workload((hour,), messages, anonymous=0.1, bad=0.001, seed=1, customers=CUSTOMERS)
    keys = Keys.parse(here.interactions_keys)
    truth, _ = timed("produce", lambda: produce(here.kafka_servers, name, keys, workload))
    offsets, _ = timed(f"seal {partitions} partitions", lambda: seal(here, hour))
    _, spark = timed("the application", lambda: count_on_yarn(here, hour))
    plain, python = timed("a plain consumer", lambda: count_plainly(here, offsets))
    counts, persons, bad = (
        StoredTable(table, here.hdfs_url, here.root).read(hour).to_pylist()
        for table in (COUNTS, ANONYMOUS, QUARANTINE)
    )
    told = truth[hour]
    by_customer = {row["customer_id"]: row["interactions"] for row in counts}
    by_person = {tuple(row.values())[:4]: row["interactions"] for row in persons}
    assert by_customer == plain.customers == told.counts
    assert by_person == plain.persons == told.anonymous
    assert {(row["partition"], row["offset"]) for row in bad} == set(plain.bad)
    print(f"{messages} messages, {len(counts)} customers, {len(persons)} persons, {len(bad)} bad")
    print(f"ratio {python / spark:.2f}; the load of the machine was {load:.1f} before")


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:]]
    main(*numbers, *(1_000_000, PARTITIONS)[len(numbers) :])
