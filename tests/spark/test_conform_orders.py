"""Which lines of orders fit, and what becomes of them?"""

import re
from decimal import Decimal
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given
from pyspark.sql import SparkSession

from millpond.catalog.datasets import ORDERS
from tests.spark.judged import Outcome, few_files, outcomes


def test_a_line_that_fits_becomes_a_row(spark: SparkSession, tmp_path: Path) -> None:
    expected: dict[str, Outcome] = {
        "44,8602,37.19": (44, 8602, Decimal("37.19")),
        "0,0,0": (0, 0, Decimal("0.00")),
        "44,8602,5": (44, 8602, Decimal("5.00")),  # without decimals
        "44,8602,5.5": (44, 8602, Decimal("5.50")),
        "44,8602,-37.19": (44, 8602, Decimal("-37.19")),  # a refund
        "44,8602,007.10": (44, 8602, Decimal("7.10")),
        "44,8602,9999999999999999.99": (44, 8602, Decimal(10**16) - Decimal("0.01")),  # 16 digits
        "44,8602,-9999999999999999.99": (44, 8602, Decimal("0.01") - Decimal(10**16)),
        " 44 ,\t8602, 37.19 \t": (44, 8602, Decimal("37.19")),
        "2147483647,+1,0.1": (2**31 - 1, 1, Decimal("0.10")),
    }
    found = outcomes(spark, tmp_path, ORDERS, list(expected))
    assert dict(zip(expected, found, strict=True)) == expected


def test_each_bad_line_has_all_its_reasons(spark: SparkSession, tmp_path: Path) -> None:
    expected: dict[str, Outcome] = {
        "": ["field_count"],
        "44,8602": ["field_count"],
        "44,8602,1,234.00": ["field_count"],
        "44,8602,37,19": ["field_count"],
        "x,8602,37.19": ["not_an_integer:customer_id"],
        ",8602,37.19": ["not_an_integer:customer_id"],
        "-1,8602,37.19": ["out_of_range:customer_id"],
        "44,86.5,37.19": ["not_an_integer:item_id"],
        "44,2147483648,37.19": ["out_of_range:item_id"],
        "44,8602,": ["bad_money:amount"],
        "44,8602,37.190": ["bad_money:amount"],  # three decimals, and never rounded
        "44,8602,37.": ["bad_money:amount"],
        "44,8602,.19": ["bad_money:amount"],
        "44,8602,+37.19": ["bad_money:amount"],
        "44,8602,--37.19": ["bad_money:amount"],
        "44,8602,- 37.19": ["bad_money:amount"],
        "44,8602,1e2": ["bad_money:amount"],  # a cast alone would take it
        "44,8602,NaN": ["bad_money:amount"],
        "44,8602,Infinity": ["bad_money:amount"],
        "44,8602,$37.19": ["bad_money:amount"],
        "44,8602,٣٧": ["bad_money:amount"],  # digits, but of another script
        "44,8602,12345678901234567": ["bad_money:amount"],  # 17 digits
        "44,8602,00000000000000001": ["bad_money:amount"],  # whatever their value
        "x,-1,free": ["not_an_integer:customer_id", "out_of_range:item_id", "bad_money:amount"],
    }
    found = outcomes(spark, tmp_path, ORDERS, list(expected))
    assert dict(zip(expected, found, strict=True)) == expected


def test_equal_lines_are_different_orders(spark: SparkSession, tmp_path: Path) -> None:
    found = outcomes(spark, tmp_path, ORDERS, ["44,8602,37.19"] * 3)
    assert found == [(44, 8602, Decimal("37.19"))] * 3


def judge_plainly(line: str) -> Outcome:
    """The oracle: a line's row or reasons, by Python's own means."""
    parts = [part.strip(" \t") for part in line.strip(" \t").split(",")]
    if len(parts) != 3:
        return ["field_count"]
    reasons = []
    for name, field in zip(("customer_id", "item_id"), parts, strict=False):
        if not re.fullmatch(r"[+-]?[0-9]+", field):
            reasons.append(f"not_an_integer:{name}")
        elif not 0 <= int(field) < 2**31:
            reasons.append(f"out_of_range:{name}")
    whole, point, decimals = parts[2].removeprefix("-").partition(".")
    has_decimals = decimals.isdigit() and len(decimals) <= 2 if point else True
    if not (parts[2].isascii() and whole.isdigit() and len(whole) <= 16 and has_decimals):
        reasons.append("bad_money:amount")
    return reasons or (int(parts[0]), int(parts[1]), Decimal(parts[2]))


numbers = st.integers(-2, 99).map(str) | st.sampled_from(
    [" 7 ", "+7", "007", "7.0", "", "x", "2147483647", "2147483648"]
)
amounts = st.from_regex(r"\A-?[0-9]{1,17}(\.[0-9]{1,3})?\Z") | st.sampled_from(
    ["", "-", "5.", ".5", "1e2", "NaN", "+1", "1_0", "٣", " 7 ", "-0", "1.-1"]
)


@few_files
@given(lines=st.lists(st.tuples(numbers, numbers, amounts).map(",".join), min_size=20, max_size=60))
def test_every_line_becomes_what_a_plain_reader_makes_of_it(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    found = outcomes(spark, tmp_path_factory.mktemp("orders"), ORDERS, lines)
    assert found == [judge_plainly(line) for line in lines]
