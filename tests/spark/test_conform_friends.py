"""Which lines of friends fit, and what becomes of them?"""

import re
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given
from pyspark.sql import SparkSession

from millpond.catalog.datasets import FRIENDS
from tests.spark.judged import Outcome, few_files, first_stays, outcomes


def test_a_line_that_fits_becomes_a_row_without_the_name(
    spark: SparkSession, tmp_path: Path
) -> None:
    expected: dict[str, Outcome] = {
        "0,Ada,33,385": (0, 33, 385),  # numbers begin at 0
        "1,Zoë,0,0": (1, 0, 0),
        "2,,150,2": (2, 150, 2),  # the name is not looked at
        " 3 , Bo ,\t44,5 \t": (3, 44, 5),
        "+4,Cy,0044,2147483647": (4, 44, 2**31 - 1),
    }
    found = outcomes(spark, tmp_path, FRIENDS, list(expected), end="\r\n")
    assert dict(zip(expected, found, strict=True)) == expected


def test_each_bad_line_has_all_its_reasons(spark: SparkSession, tmp_path: Path) -> None:
    expected: dict[str, Outcome] = {
        "": ["field_count"],
        "0,Ada,33": ["field_count"],
        "0,Ada,33,385,": ["field_count"],
        "0,Lovelace, Ada,33,385": ["field_count"],
        "id,name,age,friends": [
            *("not_an_integer:person_id", "not_an_integer:age", "not_an_integer:friends"),
        ],
        ",Ada,33,385": ["not_an_integer:person_id"],
        "-1,Ada,33,385": ["out_of_range:person_id"],
        "2147483648,Ada,33,385": ["out_of_range:person_id"],
        "0,Ada,,385": ["not_an_integer:age"],
        "0,Ada,33.5,385": ["not_an_integer:age"],
        "0,Ada,1e2,385": ["not_an_integer:age"],
        "0,Ada,-1,385": ["out_of_range:age"],
        "0,Ada,151,385": ["out_of_range:age"],
        "0,Ada,99999999999999999999,385": ["out_of_range:age"],
        "0,Ada,33,many": ["not_an_integer:friends"],
        "0,Ada,33,NaN": ["not_an_integer:friends"],
        "0,Ada,33,-1": ["out_of_range:friends"],
        "x,Ada,200,-5": ["not_an_integer:person_id", "out_of_range:age", "out_of_range:friends"],
    }
    found = outcomes(spark, tmp_path, FRIENDS, list(expected))
    assert dict(zip(expected, found, strict=True)) == expected


def test_of_lines_with_one_key_the_first_that_fits_stays(
    spark: SparkSession, tmp_path: Path
) -> None:
    lines = ["7,Ada,-1,1", "7,Bo,20,2", "7,Cy,30,3", "07,Di,40,4", "8,Ed,20,2"]
    assert outcomes(spark, tmp_path, FRIENDS, lines) == [
        ["out_of_range:age"],  # the first, but it does not fit
        (7, 20, 2),
        ["duplicate_key"],
        ["duplicate_key"],  # another notation of the same number
        (8, 20, 2),
    ]


def judge_plainly(line: str) -> Outcome:
    """The oracle: a line's row or reasons, by Python's own means."""
    parts = [part.strip(" \t") for part in line.strip(" \t").split(",")]
    if len(parts) != 4:
        return ["field_count"]
    limits = {"person_id": 2**31 - 1, "age": 150, "friends": 2**31 - 1}
    fields = dict(zip(limits, (parts[0], parts[2], parts[3]), strict=True))
    reasons = []
    for name, field in fields.items():
        if not re.fullmatch(r"[+-]?[0-9]+", field):
            reasons.append(f"not_an_integer:{name}")
        elif not 0 <= int(field) <= limits[name]:
            reasons.append(f"out_of_range:{name}")
    return reasons or tuple(int(field) for field in fields.values())


# Few people, so that keys are met again.
numbers = st.integers(-1, 9).map(str) | st.sampled_from(
    ["150", "151", " 7 ", "+7", "07", "7.0", "", "x", "2147483647", "2147483648"]
)
people = st.tuples(numbers, st.sampled_from(["Ada", "", "Zoë"]), numbers, numbers).map(",".join)


@few_files
@given(lines=st.lists(people | st.sampled_from(["", "1,2,3"]), min_size=20, max_size=60))
def test_every_line_becomes_what_a_plain_reader_makes_of_it(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    found = outcomes(spark, tmp_path_factory.mktemp("friends"), FRIENDS, lines)
    assert found == first_stays([judge_plainly(line) for line in lines])
