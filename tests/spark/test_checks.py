"""Checks before publishing: a wrong schema is named whole, limits hold at their edges."""

from dataclasses import replace

import pytest
from pyspark.sql import SparkSession

from millpond.catalog.analyses import all_tables
from millpond.catalog.tables import Column, Expectation, Table
from millpond.errors import CheckFailedError
from millpond.spark.checks import conform_schema, measure, stop_on_errors

TABLE = Table(
    "totals",
    "marts/totals",
    "a total per customer",
    (Column("customer_id", "int", "who"), Column("total", "bigint", "how much")),
    order=("customer_id",),
    expectations=(
        Expectation("largest", "max(total)", maximum=10),
        Expectation("spread", "max(total) - min(total)", minimum=2, severity="warn"),
    ),
)


def test_every_difference_between_rows_and_table_is_named(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(1, 2)], "total int, extra int")
    with pytest.raises(CheckFailedError) as raised:
        conform_schema(TABLE, rows)
    assert str(raised.value) == (
        "the rows for totals do not have its columns: customer_id is missing; "
        "extra is not declared; total is int, not bigint; make the application's "
        "last select and the catalogue agree"
    )


def test_columns_come_in_the_tables_order(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(7, 1)], "total bigint, customer_id int")
    assert conform_schema(TABLE, rows).columns == ["customer_id", "total"]


@pytest.mark.parametrize(
    ("totals", "failed"),
    [
        ([8, 10], []),  # both limits are met exactly
        ([8, 11], ["largest"]),
        ([9, 10], ["spread"]),
        ([], ["rows"]),
    ],
)
def test_limits_belong_to_what_is_allowed(
    spark: SparkSession, totals: list[int], failed: list[str]
) -> None:
    rows = spark.createDataFrame([(1, total) for total in totals], "customer_id int, total bigint")
    number, checks = measure(TABLE, rows, rows_in=0)
    assert number == len(totals)
    assert [check.name for check in checks if not check.passed] == failed


def test_an_error_stops_and_a_warning_does_not(spark: SparkSession) -> None:
    def checks(*totals: int) -> None:
        rows = [(1, total) for total in totals]
        measured = measure(
            TABLE, spark.createDataFrame(rows, "customer_id int, total bigint"), rows_in=0
        )
        stop_on_errors(TABLE, measured[1])

    checks(9, 10)  # spread is only a warning
    with pytest.raises(CheckFailedError) as raised:
        checks(1, 11)
    assert str(raised.value) == (
        "totals was not published, its former rows stay: largest is 11, which must be at most 10; "
        "look at the input's receipt and quarantine"
    )


def test_a_null_figure_fails(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(1, None)], "customer_id int, total bigint")
    _, checks = measure(TABLE, rows, rows_in=0)
    assert [(check.name, check.figure) for check in checks if not check.passed] == [
        ("largest", None),
        ("spread", None),
    ]


@pytest.mark.parametrize(("rows_in", "passed"), [(3, False), (2, True), (1, False)])
def test_an_expectation_can_hold_the_rows_against_those_that_were_read(
    spark: SparkSession, rows_in: int, *, passed: bool
) -> None:
    table = replace(
        TABLE, expectations=(Expectation("lost", "{rows_in} - count(*)", minimum=0, maximum=0),)
    )
    rows = spark.createDataFrame([(1, 5), (2, 6)], "customer_id int, total bigint")
    _, (_, lost) = measure(table, rows, rows_in)
    assert (lost.figure, lost.passed) == (rows_in - 2, passed)


@pytest.mark.parametrize("table", [t for t in all_tables() if t.expectations], ids=lambda t: t.name)
def test_every_expectation_of_the_catalogue_has_a_figure(spark: SparkSession, table: Table) -> None:
    values = {"date": "DATE '2026-01-01'", "timestamp": "TIMESTAMP '2026-01-01 10:00:00'"}
    row = spark.range(1).selectExpr(
        *(f"CAST({values.get(c.type, '1')} AS {c.type}) AS {c.name}" for c in table.columns)
    )
    _, checks = measure(table, conform_schema(table, row), rows_in=1)
    figures = {check.name: check.figure for check in checks}
    assert list(figures) == ["rows", *(e.name for e in table.expectations)]
    assert None not in figures.values()
