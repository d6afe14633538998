"""Which lines of movies fit, and what becomes of them?"""

import re
from datetime import date
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given
from pyspark.sql import SparkSession

from millpond.catalog.datasets import MOVIES
from tests.spark.judged import Outcome, few_files, first_stays, outcomes

REST = 21  # fields behind the three that are kept


def item(movie_id: str, title: str, released: str, rest: int = REST) -> str:
    return "|".join([movie_id, title, released, *["0"] * rest])


def test_a_line_that_fits_becomes_a_row(spark: SparkSession, tmp_path: Path) -> None:
    expected: dict[str, Outcome] = {
        item("1", "The Mill (1995)", "01-Jan-1995"): (1, "The Mill (1995)", date(1995, 1, 1)),
        item("2", "Undated", ""): (2, "Undated", None),
        item("3", "Leap", "29-Feb-1996"): (3, "Leap", date(1996, 2, 29)),
        item("4", "Leap of a century", "29-Feb-2000"): (4, "Leap of a century", date(2000, 2, 29)),
        item("5", "Before it was reckoned so", "10-Oct-1582"): (
            *(5, "Before it was reckoned so", date(1582, 10, 10)),  # the calendar is prolonged
        ),
        item("6", "Élodie, à Genève & Señor Ñandú", "31-Dec-1999"): (
            *(6, "Élodie, à Genève & Señor Ñandú", date(1999, 12, 31)),
        ),
        item("7", 'Quoted "x", \\ and \t within', ""): (7, 'Quoted "x", \\ and \t within', None),
        item("8", "Next\x85line, no\xa0break, \x1f\x7f\x80", ""): (
            *(8, "Next\x85line, no\xa0break, \x1f\x7f\x80", None),  # neither blanks nor line ends
        ),
        item("9", "\x85", ""): (9, "\x85", None),
        f" \t{item(' 10', ' blanks  about ', ' 05-May-2005 ')} \t": (
            *(10, "blanks  about", date(2005, 5, 5)),
        ),
        item("+011", "Signed", ""): (11, "Signed", None),
        item("2147483647", "The last", ""): (2**31 - 1, "The last", None),
    }
    found = outcomes(spark, tmp_path, MOVIES, list(expected), encoding="ISO-8859-1")
    assert dict(zip(expected, found, strict=True)) == expected


def test_each_bad_line_has_all_its_reasons(spark: SparkSession, tmp_path: Path) -> None:
    expected: dict[str, Outcome] = {
        "": ["field_count"],
        item("1", "One field less", "", rest=REST - 1): ["field_count"],
        item("1", "One field more", "", rest=REST + 1): ["field_count"],
        item("1", "A | within", ""): ["field_count"],
        item("", "No number", ""): ["not_an_integer:movie_id"],
        item("1.0", "A fraction", ""): ["not_an_integer:movie_id"],
        item("1e2", "A power", ""): ["not_an_integer:movie_id"],
        item("²", "A digit of another kind", ""): ["not_an_integer:movie_id"],
        item("0", "Zero", ""): ["out_of_range:movie_id"],
        item("-1", "Negative", ""): ["out_of_range:movie_id"],
        item("2147483648", "More than an int holds", ""): ["out_of_range:movie_id"],
        item("1", "", ""): ["missing:title"],
        item("1", " \t ", ""): ["missing:title"],
        item("1", "31 days", "31-Feb-1995"): ["bad_date:release_date"],
        item("1", "No leap year", "29-Feb-1995"): ["bad_date:release_date"],
        item("1", "No leap year either", "29-Feb-1900"): ["bad_date:release_date"],
        item("1", "Lower case", "01-jan-1995"): ["bad_date:release_date"],
        item("1", "Upper case", "01-JAN-1995"): ["bad_date:release_date"],
        item("1", "No such month", "01-Mac-1995"): ["bad_date:release_date"],
        item("1", "No such day", "00-Jan-1995"): ["bad_date:release_date"],
        item("1", "One digit", "1-Jan-1995"): ["bad_date:release_date"],
        item("1", "Two digits", "01-Jan-95"): ["bad_date:release_date"],
        item("1", "No such year", "01-Jan-0000"): ["bad_date:release_date"],
        item("1", "Another notation", "1995-01-01"): ["bad_date:release_date"],
        item("1", "Something behind it", "01-Jan-1995 00:00"): ["bad_date:release_date"],
        item("x", "", "soon"): [
            *("not_an_integer:movie_id", "missing:title", "bad_date:release_date"),
        ],
    }
    found = outcomes(spark, tmp_path, MOVIES, list(expected), encoding="ISO-8859-1")
    assert dict(zip(expected, found, strict=True)) == expected


def test_of_lines_with_one_key_the_first_that_fits_stays(
    spark: SparkSession, tmp_path: Path
) -> None:
    found = outcomes(
        spark,
        tmp_path,
        MOVIES,
        [
            item("7", "", ""),  # the first, but it does not fit
            item("7", "The one that stays", ""),
            item("8", "Another", ""),
            item("7", "Too late", "01-Jan-1995"),
            item("007", "The same number, and the same key", ""),
            item("7", "", ""),  # does not fit: that is its reason, whatever its key
            item("7", "The one that stays", ""),  # equal in every byte
        ],
        encoding="ISO-8859-1",
    )
    assert found == [
        ["missing:title"],
        (7, "The one that stays", None),
        (8, "Another", None),
        ["duplicate_key"],
        ["duplicate_key"],
        ["missing:title"],
        ["duplicate_key"],
    ]


def test_every_byte_is_a_character(spark: SparkSession, tmp_path: Path) -> None:
    titles = [chr(byte) for byte in range(256) if chr(byte) not in " \t|\r\n"]
    lines = [item(str(number), title, "") for number, title in enumerate(titles, start=1)]
    assert outcomes(spark, tmp_path, MOVIES, lines, encoding="ISO-8859-1") == [
        (number, title, None) for number, title in enumerate(titles, start=1)
    ]


MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def judge_plainly(line: str) -> Outcome:
    """The oracle: a line's row or reasons, by Python's own means."""
    parts = [part.strip(" \t") for part in line.strip(" \t").split("|")]
    if len(parts) != 24:
        return ["field_count"]
    number, title, released = parts[:3]
    reasons = []
    if not re.fullmatch(r"[+-]?[0-9]+", number):
        reasons.append("not_an_integer:movie_id")
    elif not 0 < int(number) < 2**31:
        reasons.append("out_of_range:movie_id")
    if not title:
        reasons.append("missing:title")
    if released and day_of(released) is None:
        reasons.append("bad_date:release_date")
    return reasons or (int(number), title, day_of(released))


def day_of(text: str) -> date | None:
    written = re.fullmatch("([0-9]{2})-([A-Za-z]{3})-([0-9]{4})", text)
    if not written or written[2] not in MONTHS:
        return None
    try:
        return date(int(written[3]), MONTHS.index(written[2]) + 1, int(written[1]))
    except ValueError:
        return None


# Few numbers, so that keys are met again; every day there is and some there are not.
numbers = st.sampled_from(["1", "2", "3", "03", "+4", "5", "6", "7", "0", "-1", "x", "", "1e1"])
titles = st.text("ab éß\x85\xa0\t,'", max_size=4)
days = st.builds(
    "{:02}-{}-{:04}".format,
    st.integers(1, 31),
    st.sampled_from([*MONTHS, "Mai", "feb"]),
    st.integers(0, 9999) | st.sampled_from([1900, 1996, 2000]),
) | st.sampled_from(["", "1-Jan-1995", "1995"])
items = st.builds(item, numbers, titles, days, st.sampled_from([REST] * 9 + [0]))


@few_files
@given(lines=st.lists(items, min_size=20, max_size=60))
def test_every_line_becomes_what_a_plain_reader_makes_of_it(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    found = outcomes(spark, tmp_path_factory.mktemp("movies"), MOVIES, lines, encoding="ISO-8859-1")
    assert found == first_stays([judge_plainly(line) for line in lines])
