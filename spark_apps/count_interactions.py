"""How many interactions did each customer have in an hour?

Counted: every message of the topic that arrived in the hour, which is what the hour's sealed
offsets are; messages of aborted transactions never arrived. A message is exactly one of three:

* counted, if its id is a whole number of 64 bits or a string of 1 to 128 characters. The id is kept
  as JSON, so `12` and `"12"` are two customers. Nothing else of the message is looked at.
* anonymous, if it has no id (the key is absent, null or ""), and a last and a first name that are
  more than blanks. It is counted by its four strings as they were sent; birth date and birth place
  may be absent or null.
* quarantined otherwise, with the first reason that applies. Keys that nobody knows are no reason.

Before anything is published, the messages are held against the offsets: each once, none outside,
and as many as the range has or as a plain consumer gets, where transactions leave gaps.
"""

import sys
from functools import partial

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from millpond.catalog import zones
from millpond.catalog.interactions import (
    ANONYMOUS,
    COUNTS,
    LARGEST_MESSAGE,
    LONGEST_ID,
    QUARANTINE,
    Keys,
)
from millpond.catalog.partitions import Hour
from millpond.catalog.reasons import reason
from millpond.errors import CheckFailedError
from millpond.lake.offsets import HourOffsets, read_offsets
from millpond.lake.receipts import Source
from millpond.spark.job import Job, execute
from millpond.spark.kafka import count_committed, read_messages, require_readable

NAMES = ("last_name", "first_name")
BIRTH = ("birth_date", "birth_place")


def judge_messages(messages: DataFrame, keys: Keys) -> DataFrame:
    """partition, offset, reason (null for none), customer_id (null for none), the four strings."""
    parsed = messages.withColumn("text", F.col("value").cast("string")).withColumn(
        "json", F.when(F.length("value") <= LARGEST_MESSAGE, _only_object(F.col("text")))
    )
    cut = parsed.withColumns({name: _field(key) for name, key in vars(keys).items()})
    # The types of the fields, as Spark names those of JSON: VOID is null, NULL is absent.
    typed = cut.withColumns({f"{name}_type": F.schema_of_variant(name) for name in vars(keys)})
    judged = typed.withColumn("customer_id", _customer_id()).withColumn("reason", _reason())
    strings = (_string(name).alias(name) for name in (*NAMES, *BIRTH))
    return judged.select("partition", "offset", "reason", "customer_id", *strings)


def _only_object(text: Column) -> Column:
    """The text in an array, as variant; null unless it is one JSON object and nothing else.

    The parser stops where a value ends and ignores what follows. In brackets only text that goes on
    with `]` would pass, in braces only text that goes on with `}`: both let nothing pass.
    """
    in_brackets = F.try_parse_json(F.concat(F.lit("["), text, F.lit("]")))
    in_braces = F.try_parse_json(F.concat(F.lit('{"":'), text, F.lit("}")))
    is_alone = ~F.contains(text, F.lit("]")) | in_braces.isNotNull()
    is_object = text.rlike(r"\A[ \t\r\n]*\{")
    is_single = F.try_variant_get(in_brackets, "$[1]", "variant").isNull()
    return F.when(F.is_valid_utf8(text) & is_object & is_alone & is_single, in_brackets)


def _field(key: str) -> Column:
    return F.try_variant_get(F.col("json"), f"$[0]['{key}']", "variant")


def _string(name: str) -> Column:
    return F.when(F.col(f"{name}_type") == "STRING", F.try_variant_get(name, "$", "string"))


def _is_absent(name: str) -> Column:
    return F.col(f"{name}_type").isNull() | (F.col(f"{name}_type") == "VOID")


def _has_no_id() -> Column:
    return _is_absent("id") | (_string("id") == "")


def _customer_id() -> Column:
    fits = (F.col("id_type") == "BIGINT") | F.length(_string("id")).between(1, LONGEST_ID)
    return F.when(fits, F.to_json("id"))


def _reason() -> Column:
    found = F.when(F.col("value").isNull(), F.lit(reason("no_value")))
    found = found.when(F.length("value") > LARGEST_MESSAGE, F.lit(reason("too_large")))
    found = found.when(~F.is_valid_utf8("text"), F.lit(reason("undecodable")))
    found = found.when(F.col("json").isNull(), F.lit(reason("not_json")))
    found = found.when(F.col("customer_id").isNotNull(), F.lit(None).cast("string"))
    found = found.when(~F.coalesce(_has_no_id(), F.lit(False)), F.lit(reason("bad_id")))
    for name in (*NAMES, *BIRTH):
        is_other = ~_is_absent(name) & (F.col(f"{name}_type") != "STRING")
        found = found.when(is_other, F.lit(reason("not_a_string", name)))
    for name in NAMES:
        is_blank = F.btrim(F.coalesce(_string(name), F.lit(""))) == ""
        found = found.when(is_blank, F.lit(reason("missing", name)))
    return found


def count_by_customer(judged: DataFrame) -> DataFrame:
    """customer_id, interactions."""
    good = judged.where(F.col("reason").isNull() & F.col("customer_id").isNotNull())
    return good.groupBy("customer_id").agg(F.count("*").alias("interactions"))


def count_anonymous(judged: DataFrame) -> DataFrame:
    """last_name, first_name, birth_date, birth_place, interactions."""
    good = judged.where(F.col("reason").isNull() & F.col("customer_id").isNull())
    return good.groupBy(*NAMES, *BIRTH).agg(F.count("*").alias("interactions"))


def quarantined(judged: DataFrame) -> DataFrame:
    """partition, offset, reason."""
    return judged.where(F.col("reason").isNotNull()).select("partition", "offset", "reason")


def summarise(judged: DataFrame) -> dict[int, Row]:
    """For each partition: messages, distinct offsets, first and last, counted, anonymous."""
    is_good = F.col("reason").isNull()
    by_partition = judged.groupBy("partition").agg(
        F.count("*").alias("messages"),
        F.count_distinct("offset").alias("offsets"),
        F.min("offset").alias("first"),
        F.max("offset").alias("last"),
        F.count_if(is_good & F.col("customer_id").isNotNull()).alias("counted"),
        F.count_if(is_good & F.col("customer_id").isNull()).alias("anonymous"),
    )
    return {row.partition: row for row in by_partition.collect()}


def audit(job: Job, servers: str, offsets: HourOffsets, found: dict[int, Row]) -> int:
    """The number of offsets that transactions explain; CheckFailedError for any other fault."""
    unreadable = 0
    for within in offsets.ranges:
        row = found.get(within.partition)
        messages = row.messages if row else 0
        if row and not (
            row.messages == row.offsets
            and within.readable_from <= row.first <= row.last < within.end
        ):
            raise CheckFailedError(
                f"partition {within.partition} of {offsets.topic} gave {row.messages} messages at "
                f"{row.offsets} offsets from {row.first} to {row.last}, where {offsets.hour} is "
                f"{within.readable_from} to {within.end}; nothing was published"
            )
        missing = within.end - within.readable_from - messages
        if missing and messages != (
            readable := count_committed(job.spark, servers, offsets.topic, within)
        ):
            raise CheckFailedError(
                f"partition {within.partition} of {offsets.topic} gave {messages} messages of "
                f"{offsets.hour}, and a plain consumer gets {readable}; nothing was published"
            )
        unreadable += missing
    return unreadable


def main(job: Job, servers: str, keys: Keys) -> None:
    """Read the hour's offsets, judge the messages, audit them, publish the three tables."""
    assert isinstance(job.run.partition, Hour)
    offsets = read_offsets(job.hdfs, job.run.root, job.run.partition)
    require_readable(job.spark, servers, offsets)
    judged = judge_messages(read_messages(job.spark, servers, offsets), keys).persist()
    with job.phase("compute"):
        found = summarise(judged)
        unreadable = audit(job, servers, offsets, found)
    messages, counted, anonymous = (
        sum(row[name] for row in found.values()) for name in ("messages", "counted", "anonymous")
    )
    path = zones.offsets(job.run.root, offsets.hour)
    job.add_input(Source(path=path, sha256=offsets.sha256()), rows=messages)
    bad = messages - counted - anonymous
    job.publish(QUARANTINE, quarantined(judged))
    job.publish(ANONYMOUS, count_anonymous(judged))
    rows = {"counted": counted, "anonymous": anonymous, "quarantined": bad}
    job.publish(COUNTS, count_by_customer(judged), **rows, unreadable=unreadable)


if __name__ == "__main__":
    # --kafka SERVERS --keys NAMES, then the run's arguments
    _, servers, _, names, *arguments = sys.argv[1:]
    execute(COUNTS, partial(main, servers=servers, keys=Keys.from_argument(names)), arguments)
