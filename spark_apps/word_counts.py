"""How often does each word occur?

A word is a longest run of letters, digits and underscores of any script, after the whole line has
been put in lower case: `Don't` is `don` and `t`, `sluice-keeper` two words, `1800` and `œuvre` one
each. A letter that is written as a base and a combining accent ends at the accent, which is neither
letter nor digit. A word that a line's end divides is two. Lower case is Unicode's, whatever the
language: `ẞ` becomes `ß`, which stays different from `ss`.
"""

import sys

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from millpond.catalog.analyses import WORD_COUNTS
from millpond.spark.job import Job, execute

# Not \w, which to Spark is ASCII alone.
WORD = r"[\p{L}\p{N}_]+"


def count_words(lines: DataFrame) -> DataFrame:
    """word, occurrences: how often each word occurs in the column `line`."""
    words = F.regexp_extract_all(_lower("line"), F.lit(WORD), F.lit(0))
    return (
        lines.select(F.explode(words).alias("word"))
        .groupBy("word")
        .agg(F.count("*").alias("occurrences"))
    )


def _lower(text: str) -> Column:
    # By itself lower() follows the machine's language: in Turkish, I becomes an i without a dot.
    return F.collate(F.lower(F.collate(text, "UNICODE")), "UTF8_BINARY")


def main(job: Job) -> None:
    """Read the clean lines, count their words, publish."""
    lines = job.read_clean("texts")
    job.publish(WORD_COUNTS.mart, count_words(lines))


if __name__ == "__main__":
    execute(WORD_COUNTS.mart, main, sys.argv[1:])
