"""Which lines of a source file fit the schema, and why do the others not?"""

import math
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given
from pyspark.sql import SparkSession

from millpond.catalog.datasets import RATINGS
from millpond.errors import BadInputError
from millpond.lake.receipts import Check, Receipt
from millpond.spark.lines import read_lines
from spark_apps.conform_dataset import clean_rows, compared_with, judge_lines, stop_over_limit
from tests.receipts import RECEIPT
from tests.spark.judged import Outcome, few_files, judge, outcomes


def test_each_bad_line_has_all_its_reasons(spark: SparkSession, tmp_path: Path) -> None:
    expected: dict[str, Outcome] = {
        "1\t2\t3": ["field_count"],
        "1\t2\t3\t4\t5": ["field_count"],
        "": ["field_count"],
        "one\t2\t3\t4": ["not_an_integer:user_id"],
        "1.0\t2\t3\t4": ["not_an_integer:user_id"],
        "0\t2\t3\t4": ["out_of_range:user_id"],
        "2147483648\t2\t3\t4": ["out_of_range:user_id"],  # one more than an int holds
        "1\t-2\t3\t4": ["out_of_range:movie_id"],
        "1\t2\tgood\t4": ["not_a_number:rating"],
        "1\t2\tNaN\t4": ["not_a_number:rating"],  # a cast alone would take it
        "1\t2\t1e0\t4": ["not_a_number:rating"],  # and this
        "1\t2\t0.0\t4": ["out_of_range:rating"],
        "1\t2\t5.5\t4": ["out_of_range:rating"],
        "1\t2\t3.7\t4": ["out_of_range:rating"],  # no half
        "1\t2\t3\tyesterday": ["not_an_integer:rated_at"],
        "1\t2\t3\t-1": ["out_of_range:rated_at"],
        "1\t2\t3\t99999999999999999999": ["out_of_range:rated_at"],
        "x\t0\t9\ty": [
            "not_an_integer:user_id",
            "out_of_range:movie_id",
            "out_of_range:rating",
            "not_an_integer:rated_at",
        ],
    }
    found = outcomes(spark, tmp_path, RATINGS, list(expected))
    assert dict(zip(expected, found, strict=True)) == expected


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ("196\t242\t3\t881250949", (196, 242, 3.0, 881250949)),
        ("196 242 3.5 881250949", (196, 242, 3.5, 881250949)),  # blanks for tabs
        ("196\t242\t0.5\t0  \t", (196, 242, 0.5, 0)),  # trailing blanks
        ("+1\t007\t5.0\t253370764799", (1, 7, 5.0, 253370764799)),
    ],
)
def test_a_line_that_fits_becomes_a_row(
    spark: SparkSession, tmp_path: Path, line: str, row: tuple[int, int, float, int]
) -> None:
    file = tmp_path / "u.data"
    file.write_text(line)
    judged = judge_lines(read_lines(spark, file.as_uri(), "UTF-8"), RATINGS)
    # As a number: the far end of the range is beyond what Python's local time knows.
    clean = clean_rows(judged, RATINGS).selectExpr(
        "user_id", "movie_id", "rating", "unix_seconds(rated_at)", "line_number"
    )
    assert [tuple(found) for found in clean.collect()] == [(*row, 1)]


def test_undecodable_bytes_are_the_one_reason(spark: SparkSession, tmp_path: Path) -> None:
    clean, bad = judge(spark, tmp_path / "u.data", b"\xff\t2\t3\t4\n", RATINGS)
    assert (clean, bad) == ([], {1: ["undecodable"]})


def test_over_the_limit_the_sentence_has_the_figures_and_the_remedy() -> None:
    stop_over_limit(RATINGS, date(2026, 11, 22), lines=1000, bad=10)  # exactly 1 %
    with pytest.raises(BadInputError) as raised:
        stop_over_limit(RATINGS, date(2026, 11, 22), lines=1000, bad=11)
    assert str(raised.value) == (
        "11 of 1000 lines of ratings for 2026-11-22 do not fit (1.1%, limit 1%); the clean rows "
        "stay as they were: `millpond show quarantine_ratings --ds 2026-11-22` lists the lines "
        "with their reasons"
    )


def test_equal_ratings_are_all_kept(spark: SparkSession, tmp_path: Path) -> None:
    clean, bad = judge(spark, tmp_path / "u.data", b"1\t2\t3\t4\n" * 3, RATINGS)
    assert ([row.line_number for row in clean], bad) == ([1, 2, 3], {})


@pytest.mark.parametrize(
    ("before", "now", "passes"),
    [(1000, 100, False), (1000, 499, False), (1000, 500, True), (1000, 9999, True)],
)
def test_less_than_half_of_the_lines_of_the_date_before_is_a_warning(
    before: int, now: int, *, passes: bool
) -> None:
    share = now / before
    assert compared_with(receipt(rows_in=before), now) == Check(
        "share_of_earlier_lines", "warn", passes, share, minimum=0.5, maximum=None
    )


def receipt(rows_in: int) -> Receipt:
    """A receipt of the date before, of a file with that many lines."""
    return replace(RECEIPT, rows={"in": rows_in, "out": rows_in - 1, "quarantined": 1})


def fits(line: str) -> bool:
    """The oracle: does a line of ratings fit, by Python's own means?"""
    fields = line.strip(" \t")
    parts = re.split(r"[\t ]+", fields)
    if len(parts) != 4:
        return False
    user, movie, rating, second = parts
    if not all(re.fullmatch(r"[+-]?[0-9]+", number) for number in (user, movie, second)):
        return False
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", rating):
        return False
    halves = float(rating) * 2
    return (
        0 < int(user) < 2**31
        and 0 < int(movie) < 2**31
        and 1 <= halves <= 10
        and math.floor(halves) == halves
        and 0 <= int(second) < 253370764800
    )


fields = st.sampled_from(
    ["1", "-1", "0", "7", "3.5", "4.25", "5", "6", "x", "1e3", "NaN", "", "881250949", "2147483648"]
)
generated_lines = st.lists(
    st.lists(fields, min_size=3, max_size=5).map("\t".join) | st.just("1\t2\t3\t4"),
    min_size=20,
    max_size=60,
)


@few_files
@given(lines=generated_lines)
def test_every_line_read_is_clean_or_quarantined(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    content = "".join(f"{line}\n" for line in lines).encode()
    clean, bad = judge(spark, tmp_path_factory.mktemp("conform") / "u.data", content, RATINGS)
    numbered = list(enumerate(lines, start=1))
    assert [row.line_number for row in clean] == [n for n, line in numbered if fits(line)]
    assert sorted(bad) == [n for n, line in numbered if not fits(line)]
    assert all(bad.values())
