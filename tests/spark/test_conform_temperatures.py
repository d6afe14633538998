"""Which lines of temperatures fit, and what becomes of them?"""

import re
from datetime import date
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given
from pyspark.sql import SparkSession

from millpond.catalog.datasets import TEMPERATURES
from tests.spark.judged import Outcome, few_files, outcomes

NEW_YEAR = date(1800, 1, 1)


def test_a_line_that_fits_becomes_a_row(spark: SparkSession, tmp_path: Path) -> None:
    expected: dict[str, Outcome] = {
        "XM01,18000101,TMIN,-148,,,E": ("XM01", NEW_YEAR, "TMIN", -148, None, None, "E"),
        "XM01,18000101,TMIN,-75,,,E,": ("XM01", NEW_YEAR, "TMIN", -75, None, None, "E"),
        "XM01,18000101,TMAX,86,M,Q,S,0700": ("XM01", NEW_YEAR, "TMAX", 86, "M", "Q", "S"),
        "XM01,18000101,PRCP,0,,,": ("XM01", NEW_YEAR, "PRCP", 0, None, None, None),
        "XM01,18000101,TMIN,-9999,,,E": ("XM01", NEW_YEAR, "TMIN", None, None, None, "E"),
        "XM01,18000101,PRCP,-9999,,,E,": ("XM01", NEW_YEAR, "PRCP", None, None, None, "E"),
        "XM01,18000101,TMIN,9999,,,E": ("XM01", NEW_YEAR, "TMIN", 9999, None, None, "E"),
        "XM01,18000101,TMAX,-9998,,,E": ("XM01", NEW_YEAR, "TMAX", -9998, None, None, "E"),
        "XM01,18000101,SNWD,99999,,,E": ("XM01", NEW_YEAR, "SNWD", 99999, None, None, "E"),
        "XM01,18000101,tmin,10000,,,E": ("XM01", NEW_YEAR, "tmin", 10000, None, None, "E"),
        " XM01 , 18000101,\tTMIN, +5, , I ,E, \t": (
            *("XM01", NEW_YEAR, "TMIN", 5, None, "I", "E"),
        ),
        "XM01,20000229,TMIN,1,,,E": ("XM01", date(2000, 2, 29), "TMIN", 1, None, None, "E"),
        "XM01,18040229,TMIN,1,,,E": ("XM01", date(1804, 2, 29), "TMIN", 1, None, None, "E"),
    }
    found = outcomes(spark, tmp_path, TEMPERATURES, list(expected))
    assert dict(zip(expected, found, strict=True)) == expected


def test_each_bad_line_has_all_its_reasons(spark: SparkSession, tmp_path: Path) -> None:
    expected: dict[str, Outcome] = {
        "": ["field_count"],
        "XM01,18000101,TMIN,1,,": ["field_count"],  # six
        "XM01,18000101,TMIN,1,,,E,0700,": ["field_count"],  # nine
        ",18000101,TMIN,1,,,E": ["missing:station"],
        "XM01,18000229,TMIN,1,,,E": ["bad_date:observed_on"],  # 1800 is no leap year
        "XM01,18000231,TMIN,1,,,E": ["bad_date:observed_on"],
        "XM01,18001301,TMIN,1,,,E": ["bad_date:observed_on"],
        "XM01,18000100,TMIN,1,,,E": ["bad_date:observed_on"],
        "XM01,00000101,TMIN,1,,,E": ["bad_date:observed_on"],
        "XM01,,TMIN,1,,,E": ["bad_date:observed_on"],  # unlike a release date, it must be known
        "XM01,180011,TMIN,1,,,E": ["bad_date:observed_on"],
        "XM01,1800-01-01,TMIN,1,,,E": ["bad_date:observed_on"],
        "XM01,18000101,,1,,,E": ["missing:element"],
        "XM01,18000101,TMIN,,,,E": ["not_an_integer:value"],
        "XM01,18000101,TMIN,-7.5,,,E": ["not_an_integer:value"],
        "XM01,18000101,TMIN,1e2,,,E": ["not_an_integer:value"],
        "XM01,18000101,TMIN,cold,,,E": ["not_an_integer:value"],
        # No temperature has five digits: 99999 would be 99999 * 0.18 + 32 = 18031.82 degrees
        # Fahrenheit, more than decimal(6,2) holds.
        "XM01,18000101,TMIN,99999,,,E": ["out_of_range:value"],
        "XM01,18000101,TMIN,10000,,,E": ["out_of_range:value"],
        "XM01,18000101,TMAX,10000,,,E": ["out_of_range:value"],
        "XM01,18000101,TMIN,-10000,,,E": ["out_of_range:value"],
        "XM01,18000101,PRCP,100000,,,E": ["out_of_range:value"],
        "XM01,18000101,PRCP,-10000,,,E": ["out_of_range:value"],
        "XM01,18000101,PRCP,2147483648,,,E": ["out_of_range:value"],
        ",yesterday,,mild,,,E,": [
            *("missing:station", "bad_date:observed_on", "missing:element"),
            "not_an_integer:value",
        ],
    }
    found = outcomes(spark, tmp_path, TEMPERATURES, list(expected))
    assert dict(zip(expected, found, strict=True)) == expected


def test_equal_lines_are_all_kept(spark: SparkSession, tmp_path: Path) -> None:
    line, row = "XM01,18000101,TMIN,1,,,E", ("XM01", NEW_YEAR, "TMIN", 1, None, None, "E")
    assert outcomes(spark, tmp_path, TEMPERATURES, [line] * 3) == [row] * 3


def judge_plainly(line: str) -> Outcome:
    """The oracle: a line's row or reasons, by Python's own means."""
    parts = [part.strip(" \t") for part in line.strip(" \t").split(",")]
    if len(parts) not in (7, 8):
        return ["field_count"]
    station, day, element, value = parts[:4]
    reasons = [] if station else ["missing:station"]
    if day_of(day) is None:
        reasons.append("bad_date:observed_on")
    if not element:
        reasons.append("missing:element")
    if not re.fullmatch(r"[+-]?[0-9]+", value):
        reasons.append("not_an_integer:value")
    elif not -9999 <= int(value) <= (9999 if element in ("TMIN", "TMAX") else 99999):
        reasons.append("out_of_range:value")
    if reasons:
        return reasons
    number = None if int(value) == -9999 else int(value)
    return (station, day_of(day), element, number, *(flag or None for flag in parts[4:7]))


def day_of(text: str) -> date | None:
    if not re.fullmatch("[0-9]{8}", text):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


days = st.builds(
    "{:04}{:02}{:02}".format,
    st.integers(0, 9999) | st.sampled_from([1800, 1804, 1900, 2000]),
    st.integers(1, 12) | st.sampled_from([0, 2, 13]),
    st.integers(0, 31),
) | st.sampled_from(["", "1800", "18-01-01"])
values = (
    st.integers(-10010, 10010).map(str)
    | st.integers(99990, 100010).map(str)
    | st.sampled_from(["-9999", "9999", "-10000", "10000", " 7 ", "+7", "", "7.5", "NaN"])
)
flags = st.sampled_from(["", "E", " ", "é"])
observations = st.tuples(
    st.sampled_from(["XM01", "XM02", ""]),
    days,
    st.sampled_from(["TMIN", "TMAX", "PRCP", "tmin", ""]),
    values,
    *[flags] * 3,
    st.sampled_from(["", ",", ",0700", ",,"]),
).map(lambda fields: ",".join(fields[:7]) + fields[7])


@few_files
@given(lines=st.lists(observations, min_size=20, max_size=60))
def test_every_line_becomes_what_a_plain_reader_makes_of_it(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    found = outcomes(spark, tmp_path_factory.mktemp("temperatures"), TEMPERATURES, lines)
    assert found == [judge_plainly(line) for line in lines]
