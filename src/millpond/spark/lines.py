"""Text files as numbered lines."""

from itertools import accumulate

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

# monotonically_increasing_id() is the partition above 33 bits that count within the partition.
WITHIN_PARTITION = (1 << 33) - 1

# Spark decodes no windows-1252. It differs from ISO-8859-1 in these 32 bytes alone, of which five
# are no characters: Python's decoder makes them U+FFFD.
DIFFERENT = bytes(range(0x80, 0xA0))
IN_ISO_8859_1 = DIFFERENT.decode("iso-8859-1")
IN_WINDOWS_1252 = DIFFERENT.decode("windows-1252", errors="replace")
NO_CHARACTER = "\ufffd"


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
    line = _decode(F.col("value"), encoding)
    return numbered.select(
        "line_number", line.alias("line"), _is_decodable(line, encoding).alias("decodable")
    )


def _decode(value: Column, encoding: str) -> Column:
    if encoding == "UTF-8":
        return F.make_valid_utf8(value)
    line = F.decode(value.cast("binary"), "ISO-8859-1")
    return line if encoding == "ISO-8859-1" else F.translate(line, IN_ISO_8859_1, IN_WINDOWS_1252)


def _is_decodable(line: Column, encoding: str) -> Column:
    if encoding == "UTF-8":
        return F.is_valid_utf8("value")
    return ~F.contains(line, F.lit(NO_CHARACTER))


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
