"""Text files as numbered lines."""

from itertools import accumulate

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

# monotonically_increasing_id() is the partition above 33 bits that count within the partition.
WITHIN_PARTITION = (1 << 33) - 1


def read_lines(spark: SparkSession, url: str, encoding: str) -> DataFrame:
    """The lines of one file: line_number bigint (from 1), line string, decodable boolean.

    A line ends at LF, CRLF or a lone CR, the last one with or without; a byte-order mark is no part
    of the first line. Where `decodable` is false, `line` has U+FFFD for each byte that is no text.
    """
    pieces = spark.read.text(url).select(
        F.spark_partition_id().alias("partition"),
        F.monotonically_increasing_id().bitwiseAND(F.lit(WITHIN_PARTITION)).alias("index"),
        F.col("_metadata.file_block_start").alias("block_start"),
        F.col("value"),
    )
    number = F.element_at(_first_numbers(pieces), F.col("partition")) + F.col("index")
    numbered = pieces.select(number.alias("line_number"), F.col("value"))
    if encoding == "UTF-8":
        return numbered.select(
            "line_number",
            F.make_valid_utf8("value").alias("line"),
            F.is_valid_utf8("value").alias("decodable"),
        )
    return numbered.select(
        "line_number",
        F.decode(F.col("value").cast("binary"), encoding).alias("line"),
        F.lit(True).alias("decodable"),  # every byte is a character of a single-byte encoding
    )


def _first_numbers(pieces: DataFrame) -> Column:
    """A map from partition to the number of its first line, partitions in the order of bytes."""
    counts = (
        pieces.groupBy("partition")
        .agg(F.count("*").alias("lines"), F.min("block_start").alias("block_start"))
        .orderBy("block_start")
        .collect()
    )
    firsts = accumulate((row.lines for row in counts), initial=1)
    entries = [
        F.lit(value)
        for row, first in zip(counts, firsts, strict=False)
        for value in (row.partition, first)
    ]
    return F.create_map(*entries) if entries else F.lit(None).cast("map<int,bigint>")
