"""Counting an hour of interactions: the application on YARN beside a plain Python consumer.

    MILLPOND_HOME=... python -m benchmarks.interactions [MESSAGES]

On a platform that runs, it makes a topic of its own with 64 partitions, fills one past hour of it,
seals the hour, counts it by the application (submitted as the DAG does) and then by a consumer that
parses each message of the same offsets; both counts must agree. It prints seconds and their ratio.
"""

import json
import os
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from confluent_kafka import Consumer, TopicPartition

from millpond.catalog.interactions import COUNTS, TABLES, Keys
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

Result = TypeVar("Result")


def timed(what: str, act: Callable[[], Result]) -> tuple[Result, float]:
    """The result, and the seconds it took."""
    began = time.monotonic()
    result = act()
    seconds = time.monotonic() - began
    print(f"{what}: {seconds:.1f} s")
    return result, seconds


def count_plainly(here: Settings, offsets: HourOffsets) -> Counter[str]:
    """Interactions by customer, by one consumer and one parse a message."""
    left = {each.partition: each.end for each in offsets.ranges if each.start < each.end}
    client = {**quiet_client(here.kafka_servers), "group.id": "plain", "enable.auto.commit": False}
    consumer = Consumer({**client, "isolation.level": "read_committed"})
    consumer.assign(
        [
            TopicPartition(offsets.topic, r.partition, r.start)
            for r in offsets.ranges
            if r.partition in left
        ]
    )
    counts: Counter[str] = Counter()
    remaining = sum(each.end - each.start for each in offsets.ranges)
    while remaining:
        for message in consumer.consume(10_000, 1.0):
            if (message.offset() or 0) >= left[message.partition() or 0]:
                continue
            remaining -= 1
            customer = json.loads(message.value() or b"null")["idClient"]
            if customer not in (None, ""):
                counts[json.dumps(customer, ensure_ascii=False)] += 1
    consumer.close()
    return counts


def count_on_yarn(here: Settings, hour: Hour) -> None:
    """Submit the application as the DAG does, and wait for its end."""
    # Airflow reads its configuration when it is imported.
    os.environ.update(airflow_environment(here))
    from millpond.airflow.following import follow  # noqa: PLC0415
    from millpond.airflow.interactions import count_task  # noqa: PLC0415

    run = Run(hour, here.interactions_topic, 1, "benchmark", here.root)
    Receipts(Hdfs(here.hdfs_url), here.root, COUNTS.name, hour).claim(run.name)
    yarn = ResourceManager(here.yarn_url)
    submitted = count_task()._submit(yarn, run, (f"mp-{here.interactions_topic}",))  # noqa: SLF001
    ended = follow(yarn, submitted, here.yarn_silence)
    assert ended.final_status == "SUCCEEDED", ended
    print(f"  of which in YARN: {(ended.finished - ended.started) / 1000:.1f} s")


def main(messages: int) -> None:
    """Measure, and print."""
    name = f"bench-{uuid.uuid4().hex[:8]}"
    hour = Hour.of(datetime.now(UTC) - timedelta(hours=2))
    here = replace(
        Settings.from_env(os.environ),
        interactions_topic=name,
        interactions_start=hour,
        root=f"/benchmarks/{name}",
    )
    topic.create(here.kafka_servers, name, PARTITIONS)
    for table in TABLES:
        StoredTable(table, here.hdfs_url, here.root).create()
    workload = Workload((hour,), messages, anonymous=0.1, bad=0.0, seed=1, customers=CUSTOMERS)
    keys = Keys.parse(here.interactions_keys)
    truth, _ = timed("produce", lambda: produce(here.kafka_servers, name, keys, workload))
    offsets, _ = timed(f"seal {PARTITIONS} partitions", lambda: seal(here, hour))
    _, spark = timed("the application", lambda: count_on_yarn(here, hour))
    plain, python = timed("a plain consumer", lambda: count_plainly(here, offsets))
    rows = StoredTable(COUNTS, here.hdfs_url, here.root).read(hour).to_pylist()
    counted = {row["customer_id"]: row["interactions"] for row in rows}
    assert counted == dict(plain) == dict(truth[hour].counts)
    print(f"{messages} messages, {len(counted)} customers: ratio {python / spark:.2f}")
    print(f"the load of the machine was {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
