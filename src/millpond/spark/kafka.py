"""Messages of a topic, read by their offsets.

The driver asks Kafka through the same client jar that Spark reads with; the nodes of a cluster need
nothing more installed.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from millpond.errors import BadInputError, MillpondError
from millpond.lake.offsets import HourOffsets, OffsetRange

SCHEMA = "partition int, offset bigint, value binary"
COMMITTED = "read_committed"
ANSWER_MS = 30_000
POLL_MS = 200


def require_readable(spark: SparkSession, servers: str, offsets: HourOffsets) -> None:
    """Raise BadInputError unless Kafka still has every message of an hour."""
    with _admin(spark, servers) as admin:
        _require_same_topic(spark, admin, offsets)
        earliest = _earliest(spark, admin, offsets)
    gone = [each for each in _filled(offsets) if earliest[each.partition] > each.readable_from]
    if gone:
        what = "; ".join(
            f"retention lost {min(earliest[each.partition], each.end) - each.readable_from} of "
            f"offsets {each.readable_from} to {each.end} of partition {each.partition}"
            for each in gone
        )
        raise BadInputError(
            f"Kafka no longer has all of {offsets.hour}: {what} of {offsets.topic}; the former "
            "count of that hour stays"
        )


def read_messages(spark: SparkSession, servers: str, offsets: HourOffsets) -> DataFrame:
    """The committed messages of an hour: partition, offset, value (null for none)."""
    filled = _filled(offsets)
    if not filled:
        return spark.createDataFrame([], SCHEMA)
    topic = offsets.topic
    starts = {str(each.partition): each.readable_from for each in filled}
    ends = {str(each.partition): each.end for each in filled}
    return (
        spark.read.format("kafka")
        .option("kafka.bootstrap.servers", servers)
        .option("kafka.isolation.level", COMMITTED)
        .option("assign", json.dumps({topic: sorted(map(int, starts))}))
        .option("startingOffsets", json.dumps({topic: starts}))
        .option("endingOffsets", json.dumps({topic: ends}))
        .option("failOnDataLoss", "true")
        .load()
        .select("partition", "offset", "value")
    )


def count_committed(spark: SparkSession, servers: str, topic: str, within: OffsetRange) -> int:
    """How many messages of a range a plain consumer gets: Spark's reader looks after itself.

    Offsets of a range that nobody can read are those of aborted transactions, and of the marks that
    end each transaction.
    """
    jvm: Any = spark.sparkContext._jvm  # noqa: SLF001  PySpark has no public way to its JVM
    of_the_range = jvm.org.apache.kafka.common.TopicPartition(topic, within.partition)
    consumer = jvm.org.apache.kafka.clients.consumer.KafkaConsumer(
        _properties(spark, servers, **{"isolation.level": COMMITTED, "enable.auto.commit": "false"})
    )
    try:
        consumer.assign([of_the_range])
        consumer.seek(of_the_range, within.readable_from)
        count, heard = 0, time.monotonic()
        while (position := consumer.position(of_the_range)) < within.end:
            batch = consumer.poll(jvm.java.time.Duration.ofMillis(POLL_MS))
            count += sum(m.offset() < within.end for m in batch.records(of_the_range))
            # A poll that brings no message may still have passed over what is not readable.
            if consumer.position(of_the_range) > position:
                heard = time.monotonic()
            elif time.monotonic() - heard > ANSWER_MS / 1000:
                raise MillpondError(
                    f"Kafka at {servers} gave nothing of partition {within.partition} of {topic} "
                    f"after offset {position} for {ANSWER_MS // 1000} s; see the broker's log"
                )
        return count
    finally:
        consumer.close()


def _filled(offsets: HourOffsets) -> Sequence[OffsetRange]:
    return [each for each in offsets.ranges if each.readable_from < each.end]


def _require_same_topic(spark: SparkSession, admin: Any, offsets: HourOffsets) -> None:
    described = admin.describeTopics(_java_list(spark, [offsets.topic])).allTopicNames()
    try:
        found = described.get().get(offsets.topic).topicId().toString()
    except Exception as error:
        if "UnknownTopicOrPartition" not in str(error):
            raise
        found = "none"
    if found != offsets.topic_id:
        raise BadInputError(
            f"topic {offsets.topic} is not the one whose {offsets.hour} was sealed: its id is "
            f"{found}, and was {offsets.topic_id}; it was deleted, and the former count of that "
            "hour stays"
        )


def _earliest(spark: SparkSession, admin: Any, offsets: HourOffsets) -> dict[int, int]:
    jvm: Any = spark.sparkContext._jvm  # noqa: SLF001
    asked = jvm.java.util.HashMap()
    spec = jvm.org.apache.kafka.clients.admin.OffsetSpec.earliest()
    partitions = {
        each.partition: jvm.org.apache.kafka.common.TopicPartition(offsets.topic, each.partition)
        for each in offsets.ranges
    }
    for partition in partitions.values():
        asked.put(partition, spec)
    answer = admin.listOffsets(asked)
    return {n: answer.partitionResult(p).get().offset() for n, p in partitions.items()}


@contextmanager
def _admin(spark: SparkSession, servers: str) -> Iterator[Any]:
    jvm: Any = spark.sparkContext._jvm  # noqa: SLF001
    admin = jvm.org.apache.kafka.clients.admin.Admin.create(_properties(spark, servers))
    try:
        yield admin
    finally:
        admin.close()


def _properties(spark: SparkSession, servers: str, **more: str) -> Any:
    jvm: Any = spark.sparkContext._jvm  # noqa: SLF001
    properties = jvm.java.util.Properties()
    to_bytes = "org.apache.kafka.common.serialization.ByteArrayDeserializer"
    properties.put("bootstrap.servers", servers)
    properties.put("default.api.timeout.ms", str(ANSWER_MS))
    properties.put("key.deserializer", to_bytes)
    properties.put("value.deserializer", to_bytes)
    for key, value in more.items():
        properties.put(key, value)
    return properties


def _java_list(spark: SparkSession, items: Sequence[str]) -> Any:
    jvm: Any = spark.sparkContext._jvm  # noqa: SLF001
    made = jvm.java.util.ArrayList()
    for item in items:
        made.add(item)
    return made
