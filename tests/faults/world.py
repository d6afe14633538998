"""A topic of a test's own on the real broker, and what must hold of every hour of it."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from pyspark.sql import SparkSession

from millpond.catalog.interactions import ANONYMOUS, COUNTS, QUARANTINE, Keys
from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.cluster import processes
from millpond.cluster.config import airflow_environment
from millpond.interactions import topic
from millpond.interactions.broker import quiet_client
from millpond.interactions.ledger import Ledger
from millpond.interactions.seal import seal
from millpond.lake.offsets import HourOffsets
from millpond.lake.receipts import Receipts
from millpond.lake.tables import StoredTable
from millpond.run import Run
from millpond.spark.job import Job, attempt
from millpond.yarn import ResourceManager
from spark_apps.count_interactions import main as count
from tests.integration.local_platform import Platform

# Hours long over, so that nothing waits for a message that may be on its way.
LAST = Hour.of(datetime.now(UTC) - timedelta(hours=3))
HOURS = [Hour.of(LAST.start - timedelta(hours=n)) for n in range(4, -1, -1)]


@dataclass
class World:
    """A topic and a root of its own, so that no other test's hours are in the way."""

    platform: Platform
    spark: SparkSession
    settings: Settings = field(init=False)
    sent: Counter[str] = field(default_factory=Counter)
    application_id: str = ""

    def __post_init__(self) -> None:
        name = f"interact-{uuid.uuid4().hex[:12]}"
        self.settings = replace(
            self.platform.settings,
            interactions_topic=name,
            root=f"/faults/{name}",
            interactions_start=HOURS[0],
        )
        topic.create(self.settings.kafka_servers, name, partitions=3)
        for table in (COUNTS, ANONYMOUS, QUARANTINE):
            self.table(table.name).create()

    @property
    def topic(self) -> str:
        return self.settings.interactions_topic

    @cached_property
    def admin(self) -> AdminClient:
        return AdminClient(quiet_client(self.settings.kafka_servers))

    def table(self, name: str) -> StoredTable:
        [table] = [t for t in (COUNTS, ANONYMOUS, QUARANTINE) if t.name == name]
        return StoredTable(table, self.settings.hdfs_url, self.settings.root)

    def producer(self, **more: Any) -> Producer:
        return Producer({**quiet_client(self.settings.kafka_servers), **more})

    def send(
        self,
        hour: Hour,
        count: int = 1,
        *,
        customer: int = 1,
        value: bytes | None = b"",
        partition: int = 0,
        minute: int = 30,
        producer: Producer | None = None,
    ) -> None:
        """Messages of an hour, by their timestamp; by default of a customer, and put down."""
        sender = producer or self.producer()
        at = int((hour.start + timedelta(minutes=minute)).timestamp() * 1000)
        content = json.dumps({"idClient": customer}).encode() if value == b"" else value
        for _ in range(count):
            sender.produce(self.topic, value=content, partition=partition, timestamp=at)
        assert sender.flush(30) == 0
        if value == b"":
            self.sent[str(customer)] += count

    def seal(self, hour: Hour, *, accept_loss: bool = False) -> HourOffsets:
        return seal(self.settings, hour, accept_loss=accept_loss)

    def seal_in_a_process(self, hour: Hour, crash_at: str = "") -> int:
        """The exit code of a process that seals, as a task does, and may be killed at a point."""
        script = (
            "import os, sys; from millpond.catalog.partitions import Hour; "
            "from millpond.catalog.settings import Settings; "
            "from millpond.interactions.seal import seal; "
            "seal(Settings.from_env(os.environ), Hour.parse(sys.argv[1]))"
        )
        mine = {
            "MILLPOND_INTERACTIONS_TOPIC": self.topic,
            "MILLPOND_ROOT": self.settings.root,
            "MILLPOND_INTERACTIONS_START": str(self.settings.interactions_start),
            "MILLPOND_CRASH_AT": crash_at,
        }
        environ = {**self.platform.environ, **mine}
        command = [sys.executable, "-c", script, str(hour)]
        return subprocess.run(command, env=environ, check=False).returncode

    def count(self, hour: Hour) -> int:
        """Run the application for an hour in this process's session; its exit code."""
        run = Run(hour, f"g{uuid.uuid4().hex[:8]}", 1, "test", self.settings.root)
        self.receipts(hour).claim(run.name)
        job = Job(self.spark, run, COUNTS, time.monotonic())
        keys = Keys.parse(self.settings.interactions_keys)
        self.job = job
        return attempt(job, partial(count, servers=self.settings.kafka_servers, keys=keys))

    def count_on_yarn(self, hour: Hour, number: int) -> str:
        """Submit an attempt to YARN and wait for its end; `application_id` is there meanwhile."""
        # Airflow reads its configuration when it is imported, so the platform's comes first.
        os.environ.update(airflow_environment(self.platform.settings))
        from millpond.airflow.following import follow  # noqa: PLC0415
        from millpond.airflow.interactions import count_task  # noqa: PLC0415

        self.application_id = ""
        yarn = ResourceManager.of(self.settings)
        run = Run(hour, self.topic, number, "test", self.settings.root)
        self.receipts(hour).claim(run.name)
        # Two attempts of one tag would be one submission, of which the second is ended.
        submitted = count_task()._submit(yarn, run, (f"mp-test-{self.topic}-{number}",))
        self.application_id = submitted.id
        return follow(yarn, submitted).final_status

    def broker_process(self) -> psutil.Process:
        return processes.main_processes(self.settings.home)["kafka"]

    def set_topic(self, setting: str, value: str) -> None:
        entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, self.topic, incremental_configs=[entry])
        admin = self.admin
        admin.incremental_alter_configs([resource])[resource].result()

    def failure(self, hour: Hour) -> str:
        """The sentence that the last failed count left."""
        report = self.receipts(hour).failure(self.job.run.generation, "1")
        assert report is not None
        return str(report["cause"])

    def receipts(self, hour: Hour) -> Receipts:
        return Receipts(self.platform.hdfs, self.settings.root, COUNTS.name, hour)

    def counts(self, hour: Hour) -> dict[str, int]:
        rows = self.table(COUNTS.name).read(hour).to_pylist()
        return {row["customer_id"]: row["interactions"] for row in rows}

    def quarantined(self, hour: Hour) -> dict[tuple[int, int], str]:
        rows = self.table(QUARANTINE.name).read(hour).to_pylist()
        return {(row["partition"], row["offset"]): row["reason"] for row in rows}

    def check(self, hours: Sequence[Hour]) -> None:
        """What must hold whatever failed: the ranges, and every readable offset in one table."""
        self.check_ranges()
        totals: Counter[str] = Counter()
        for hour in hours:
            receipt = self.receipts(hour).read(self.table(COUNTS.name).number(hour))
            assert receipt is not None
            rows = receipt.rows
            offsets = Ledger(self.settings.ledger_url).offsets(self.topic, hour)
            assert offsets is not None
            readable = sum(
                self.readable(each.partition, each.readable_from, each.end)
                for each in offsets.ranges
            )
            assert rows["in"] == readable
            assert rows["in"] == rows["counted"] + rows["anonymous"] + rows["quarantined"]
            assert sum(self.counts(hour).values()) == rows["counted"]
            assert len(self.quarantined(hour)) == rows["quarantined"]
            totals.update(self.counts(hour))
        assert totals == self.sent

    def check_ranges(self) -> None:
        """Contiguous and disjoint."""
        ends: dict[int, int] = {}
        for offsets in reversed(Ledger(self.settings.ledger_url).hours(self.topic, 100)):
            for each in offsets.ranges:
                assert each.start == ends.get(each.partition, each.start)
                ends[each.partition] = each.end

    def readable(self, partition: int, start: int, end: int) -> int:
        """The oracle: how many committed messages another library's consumer gets."""
        if start == end:
            return 0
        client = {
            **quiet_client(self.settings.kafka_servers),
            "group.id": "oracle",
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
        consumer = Consumer(client)
        consumer.assign([TopicPartition(self.topic, partition, start)])
        found = 0
        try:
            while (message := consumer.poll(30)) is not None:
                if message.error() or (message.offset() or 0) >= end:
                    return found
                found += 1
            raise AssertionError(f"no answer about partition {partition}")
        finally:
            consumer.close()
