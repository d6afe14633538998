"""How much has each customer spent? What counts, and what does not."""

from decimal import Decimal

import hypothesis.strategies as st
import pytest
from hypothesis import given
from pyspark.sql import SparkSession

from millpond.catalog.analyses import CUSTOMER_TOTALS
from millpond.errors import CheckFailedError
from millpond.spark.checks import conform_schema, measure, stop_on_errors
from spark_apps.customer_totals import total_by_customer
from tests.spark.tables import frame

SCHEMA = "customer_id int, item_id int, amount decimal(18,2)"
MOST = Decimal("9999999999999999.99")  # of one amount, and of a total


def totals(spark: SparkSession, text: str) -> dict[int, tuple[Decimal | None, int]]:
    rows = total_by_customer(frame(spark, SCHEMA, text))
    return {row.customer_id: (row.total_spent, row.orders) for row in rows.collect()}


def test_every_order_counts_equal_ones_too(spark: SparkSession) -> None:
    added_up = totals(
        spark,
        """
        44 | 8602 | 37.19
        44 | 8602 | 37.19  # the same again is another order
        44 | 8602 |  0.00
        35 | 5368 | 65.89
         0 | 1733 |  5.00
        """,
    )
    assert added_up == {
        0: (Decimal("5.00"), 1),
        35: (Decimal("65.89"), 1),
        44: (Decimal("37.19") * 2 + 0, 3),
    }


def test_refunds_are_orders_that_give_back(spark: SparkSession) -> None:
    added_up = totals(
        spark,
        """
        44 | 8602 |  37.19
        44 | 8602 | -37.19
        35 | 5368 |  10.00
        35 | 5369 | -12.50  # more than was paid
        """,
    )
    assert added_up == {44: (Decimal(0), 2), 35: (Decimal("10.00") - Decimal("12.50"), 2)}


def test_cents_are_exact(spark: SparkSession) -> None:
    # Binary fractions of 0.1 + 0.2 are more than 0.3; ones of 16 digits have no cents at all.
    added_up = totals(
        spark,
        """
        1 | 1 |                0.10
        1 | 1 |                0.20
        2 | 1 | 9999999999999999.98
        2 | 1 |                0.01
        """,
    )
    assert added_up == {1: (Decimal("0.30"), 2), 2: (MOST, 2)}


def test_a_total_that_does_not_fit_is_null_and_fails_a_check(spark: SparkSession) -> None:
    rows = total_by_customer(
        frame(
            spark,
            SCHEMA,
            """
            1 | 1 |  9999999999999999.99
            1 | 1 |                 0.01
            2 | 1 | -9999999999999999.99
            2 | 1 | -9999999999999999.99
            3 | 1 |  9999999999999999.99
            3 | 1 |  9999999999999999.99  # too much on the way
            3 | 1 | -9999999999999999.99
            """,
        )
    )
    assert {row.customer_id: row.total_spent for row in rows.collect()} == {
        1: None,
        2: None,
        3: MOST,
    }
    checks = measure(CUSTOMER_TOTALS.mart, rows, rows_in=2 + 2 + 3)[1]
    assert [(check.name, check.figure) for check in checks if not check.passed] == [
        ("totals_too_large", 2.0)
    ]
    with pytest.raises(CheckFailedError, match="totals_too_large is 2, which must be at most 0"):
        stop_on_errors(CUSTOMER_TOTALS.mart, checks)


def test_an_order_lost_fails_a_check(spark: SparkSession) -> None:
    rows = total_by_customer(frame(spark, SCHEMA, "1 | 1 | 5.00"))
    _, checks = measure(CUSTOMER_TOTALS.mart, rows, rows_in=2)
    assert [(check.name, check.figure) for check in checks if not check.passed] == [
        ("orders_lost", 2.0 - 1.0)
    ]


def test_no_order_has_no_total(spark: SparkSession) -> None:
    assert totals(spark, "") == {}


def test_the_result_has_the_marts_columns(spark: SparkSession) -> None:
    rows = total_by_customer(frame(spark, SCHEMA, "44 | 8602 | 37.19"))
    assert conform_schema(CUSTOMER_TOTALS.mart, rows).dtypes == [
        ("customer_id", "int"),
        ("total_spent", "decimal(18,2)"),
        ("orders", "bigint"),
    ]


# Amounts as large as they get are common, and so are totals that do not fit.
amounts = st.decimals(-MOST, MOST, places=2) | st.decimals(-99, 99, places=2)
orders = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), amounts), max_size=40)


@given(orders=orders)
def test_it_agrees_with_a_plain_sum(
    spark: SparkSession, orders: list[tuple[int, int, Decimal]]
) -> None:
    cents: dict[int, list[int]] = {}
    for customer, _, amount in orders:
        cents.setdefault(customer, []).append(int(amount * 100))
    found = total_by_customer(spark.createDataFrame(orders, SCHEMA)).collect()
    assert {row.customer_id: (row.total_spent, row.orders) for row in found} == {
        customer: (Decimal(sum(paid)) / 100 if abs(sum(paid)) < 10**18 else None, len(paid))
        for customer, paid in cents.items()
    }
