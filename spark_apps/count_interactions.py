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
    text = F.when(F.length("value") <= LARGEST_MESSAGE, F.col("value").cast("string"))
    texts = messages.withColumn("text", text)
    # Each step a column of its own: what an expression has twice is computed twice.
    parsed = texts.withColumn("in_brackets", _in_brackets(F.col("text")))
    json = parsed.withColumn("json", F.when(_is_one_object(), F.col("in_brackets")))
    cut = json.withColumn("id", _field(keys.id))
    typed = cut.withColumn("id_type", F.schema_of_variant("id"))
    known = typed.withColumn("customer_id", _customer_id())
    # Nothing else is looked at where there is an id, as in most messages.
    fields = F.struct(*(_field(vars(keys)[name]).alias(name) for name in (*NAMES, *BIRTH)))
    is_person = F.col("customer_id").isNull() & _has_no_id()
    opened = known.withColumn("person", F.when(is_person, fields))
    judged = opened.withColumn("reason", _reason())
    strings = (_string(f"person.{name}").alias(name) for name in (*NAMES, *BIRTH))
    return judged.select("partition", "offset", "reason", "customer_id", *strings)


def _in_brackets(text: Column) -> Column:
    """The text in an array, as variant."""
    whole = F.try_parse_json(F.concat(F.lit("["), text, F.lit("]")))
    return F.when(F.is_valid_utf8(text), whole)


def _is_one_object() -> Column:
    """Whether the text is one JSON object and nothing else.

    The parser stops where a value ends and ignores what follows. In brackets only text that goes on
    with `]` would pass, in braces only text that goes on with `}`: both let nothing pass.
    """
    text = F.col("text")
    in_braces = F.try_parse_json(F.concat(F.lit('{"":'), text, F.lit("}")))
    is_alone = ~F.contains(text, F.lit("]")) | in_braces.isNotNull()
    is_object = F.startswith(F.ltrim(text, F.lit(" \t\r\n")), F.lit("{"))
    is_single = F.try_variant_get("in_brackets", "$[1]", "variant").isNull()
    return is_object & is_single & is_alone


def _field(key: str) -> Column:
    return F.try_variant_get(F.col("json"), f"$[0]['{key}']", "variant")


def _string(field: str) -> Column:
    return F.when(F.schema_of_variant(field) == "STRING", F.try_variant_get(field, "$", "string"))


def _is_absent(type_: Column) -> Column:
    """Of a type as Spark names those of JSON: VOID is null, NULL is absent."""
    return type_.isNull() | (type_ == "VOID")


def _id_as_string() -> Column:
    return F.when(F.col("id_type") == "STRING", F.try_variant_get("id", "$", "string"))


def _has_no_id() -> Column:
    return F.col("json").isNotNull() & (_is_absent(F.col("id_type")) | (_id_as_string() == ""))


def _customer_id() -> Column:
    # The digits of a number are its JSON already.
    number = F.when(F.col("id_type") == "BIGINT", F.try_variant_get("id", "$", "string"))
    fits = F.length(_id_as_string()).between(1, LONGEST_ID)
    return F.coalesce(number, F.when(fits, F.to_json("id")))


def _reason() -> Column:
    found = F.when(F.col("customer_id").isNotNull(), F.lit(None).cast("string"))
    found = found.when(F.col("value").isNull(), F.lit(reason("no_value")))
    found = found.when(F.col("text").isNull(), F.lit(reason("too_large")))
    found = found.when(~F.is_valid_utf8("text"), F.lit(reason("undecodable")))
    found = found.when(F.col("json").isNull(), F.lit(reason("not_json")))
    found = found.when(F.col("person").isNull(), F.lit(reason("bad_id")))
    for name in (*NAMES, *BIRTH):
        type_ = F.schema_of_variant(f"person.{name}")
        is_other = ~_is_absent(type_) & (type_ != "STRING")
        found = found.when(is_other, F.lit(reason("not_a_string", name)))
    for name in NAMES:
        is_blank = F.btrim(F.coalesce(_string(f"person.{name}"), F.lit(""))) == ""
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
    bad = judged.where(F.col("reason").isNotNull()).select("partition", "offset", "reason")
    # Few of each partition, if any: one file holds them all.
    return bad.coalesce(1)


def summarise(judged: DataFrame) -> dict[int, Row]:
    """For each partition: messages, distinct offsets, first and last, counted, anonymous."""
    is_good = F.col("reason").isNull()
    # A bit for each of 64 offsets: to count distinct ones would shuffle every message.
    bit = F.expr("shiftleft(1L, CAST(offset & 63 AS INT))")
    by_block = judged.groupBy("partition", F.shiftright("offset", 6)).agg(
        F.count("*").alias("messages"),
        F.bit_count(F.bit_or(bit)).alias("offsets"),
        F.min("offset").alias("first"),
        F.max("offset").alias("last"),
        F.count_if(is_good & F.col("customer_id").isNotNull()).alias("counted"),
        F.count_if(is_good & F.col("customer_id").isNull()).alias("anonymous"),
    )
    sums = (F.sum(name).alias(name) for name in ("messages", "offsets", "counted", "anonymous"))
    ends = (F.min("first").alias("first"), F.max("last").alias("last"))
    return {row.partition: row for row in by_block.groupBy("partition").agg(*sums, *ends).collect()}


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
