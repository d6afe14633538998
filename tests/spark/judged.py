"""A source file judged: what became of each of its lines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import settings
from pyspark.sql import SparkSession

from millpond.catalog.datasets import Dataset
from millpond.spark.lines import read_lines
from spark_apps.conform_dataset import clean_rows, judge_lines, quarantined_lines

# A file costs three jobs, a line nothing: few files of many lines.
few_files = settings(max_examples=5)

Outcome = tuple[Any, ...] | list[str]  # a clean row, or reasons


def judge(
    spark: SparkSession, file: Path, content: bytes, of: Dataset, encoding: str = "UTF-8"
) -> tuple[list[Any], dict[int, list[str]]]:
    """The clean rows in the order of the lines, and the reasons of each quarantined line by its
    number."""
    file.write_bytes(content)
    judged = judge_lines(read_lines(spark, file.as_uri(), encoding), of)
    # In one partition an order costs no shuffle.
    in_order = judged.coalesce(1).sortWithinPartitions("line_number")
    clean = clean_rows(in_order, of).collect()
    bad = quarantined_lines(judged).collect()
    return clean, {row.line_number: row.reasons for row in bad}


def outcomes(
    spark: SparkSession,
    folder: Path,
    of: Dataset,
    lines: Sequence[str],
    *,
    encoding: str = "UTF-8",
    end: str = "\n",
) -> list[Outcome]:
    """What became of each line of one file: its clean row, or its reasons."""
    content = "".join(line + end for line in lines).encode(encoding)
    clean, bad = judge(spark, folder / of.file, content, of, encoding)
    numbers = range(1, len(lines) + 1)
    # Strict: each line is one row, or one quarantined line.
    rows = dict(zip((n for n in numbers if n not in bad), map(tuple, clean), strict=True))
    assert set(bad) <= set(numbers)
    return [bad[n] if n in bad else rows[n] for n in numbers]


def first_stays(outcomes: list[Outcome]) -> list[Outcome]:
    """The outcomes when each key, the first column, may occur once."""
    seen = set[Any]()
    kept: list[Outcome] = []
    for outcome in outcomes:
        is_row = isinstance(outcome, tuple)
        kept.append(["duplicate_key"] if is_row and outcome[0] in seen else outcome)
        seen.update(outcome[:1] if is_row else ())
    return kept
