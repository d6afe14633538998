"""What is the lowest temperature of each station, and when was it? What counts, and what does
not."""

from datetime import date, timedelta
from decimal import Decimal

import hypothesis.strategies as st
from hypothesis import given
from pyspark.sql import SparkSession

from millpond.catalog.analyses import MIN_TEMPERATURES
from millpond.spark.checks import conform_schema
from spark_apps.min_temperatures import lowest_by_station
from tests.spark.tables import frame

SCHEMA = (
    "station string, observed_on date, element string, value int,"
    " measurement_flag string, quality_flag string, source_flag string"
)

Lowest = tuple[Decimal, Decimal, date]


def lowest(spark: SparkSession, text: str) -> dict[str, Lowest]:
    rows = lowest_by_station(frame(spark, SCHEMA, text)).collect()
    return {row.station: (row.min_celsius, row.min_fahrenheit, row.observed_on) for row in rows}


def test_the_lowest_minimum_of_each_station(spark: SparkSession) -> None:
    found = lowest(
        spark,
        """
        A | 1800-01-01 | TMIN |  -75 | - | - | E
        A | 1800-01-02 | TMIN | -148 | - | - | E  # as a number: as text, -75 would be the least
        A | 1800-01-03 | TMAX | -200 | - | - | E  # no minimum
        A | 1800-01-04 | PRCP | -300 | - | - | E
        A | 1800-01-05 | tmin | -400 | - | - | E
        B | 1800-01-05 | TMIN |    5 | - | - | E
        """,
    )
    assert found == {
        "A": (Decimal(-148) / 10, Decimal(-148) / 10 * 9 / 5 + 32, date(1800, 1, 2)),
        "B": (Decimal(5) / 10, Decimal(5) / 10 * 9 / 5 + 32, date(1800, 1, 5)),
    }


def test_what_failed_a_test_of_quality_does_not_count(spark: SparkSession) -> None:
    found = lowest(
        spark,
        """
        A | 1800-01-01 | TMIN |  -75 | M | - | E  # how it was measured is no doubt
        A | 1800-01-02 | TMIN | -148 | - | I | E
        A | 1800-01-03 | TMIN |  -80 | - | X | -
        """,
    )
    assert found == {"A": (Decimal("-7.5"), Decimal("-7.5") * 9 / 5 + 32, date(1800, 1, 1))}


def test_a_station_without_a_minimum_has_no_row(spark: SparkSession) -> None:
    found = lowest(
        spark,
        """
        A | 1800-01-01 | TMAX |  100 | - | - | E  # only a maximum
        B | 1800-01-01 | TMIN |    - | - | - | E  # the value is missing
        C | 1800-01-01 | TMIN | -148 | - | I | E  # doubted
        D | 1800-01-01 | TMIN |    0 | - | - | E
        D | 1800-01-02 | TMIN |    - | - | - | E  # not below everything
        """,
    )
    assert found == {"D": (Decimal(0), Decimal(32), date(1800, 1, 1))}


def test_of_several_days_with_the_lowest_the_first_counts(spark: SparkSession) -> None:
    found = lowest(
        spark,
        """
        A | 1800-03-01 | TMIN | -125 | - | - | E
        A | 1800-01-09 | TMIN | -125 | - | - | E  # the first, in the middle of the file
        A | 1800-02-01 | TMIN | -125 | - | - | E
        A | 1800-01-01 | TMIN | -124 | - | - | E  # earlier, but not the lowest
        A | 1800-01-02 | TMIN | -125 | - | I | E  # earlier, but doubted
        """,
    )
    assert found == {"A": (Decimal("-12.5"), Decimal("-12.5") * 9 / 5 + 32, date(1800, 1, 9))}


def test_degrees_are_exact_to_the_ends_of_the_range(spark: SparkSession) -> None:
    found = lowest(
        spark,
        """
        A | 1800-01-01 | TMIN |     1 | - | - | E  # 0.1 is no binary fraction
        B | 1800-01-01 | TMIN | -9998 | - | - | E
        C | 1800-01-01 | TMIN |  9999 | - | - | E
        D | 1800-01-01 | TMIN |  -400 | - | - | E  # where both scales meet
        """,
    )
    assert [found[station][:2] for station in "ABCD"] == [
        (Decimal("0.1"), 32 + Decimal("0.18")),
        (Decimal("-999.8"), 32 - Decimal("9998") * 18 / 100),
        (Decimal("999.9"), 32 + Decimal("9999") * 18 / 100),
        (Decimal(-40), Decimal(-40)),
    ]


def test_no_observation_has_no_lowest(spark: SparkSession) -> None:
    assert lowest(spark, "") == {}


def test_the_result_has_the_marts_columns(spark: SparkSession) -> None:
    rows = lowest_by_station(frame(spark, SCHEMA, "A | 1800-01-01 | TMIN | -75 | - | - | E"))
    assert conform_schema(MIN_TEMPERATURES.mart, rows).dtypes == [
        ("station", "string"),
        ("min_celsius", "decimal(5,1)"),
        ("min_fahrenheit", "decimal(6,2)"),
        ("observed_on", "date"),
    ]


# Few stations, days and values, so that equal minima are common.
observations = st.lists(
    st.tuples(
        st.sampled_from("ABC"),
        st.integers(0, 9).map(lambda days: date(1799, 12, 28) + timedelta(days)),
        st.sampled_from(["TMIN", "TMIN", "TMAX"]),
        st.integers(-3, 3) | st.integers(-9998, 9999) | st.none(),
        st.sampled_from([None, None, None, "I"]),
    ),
    max_size=40,
)


@given(observations=observations)
def test_it_agrees_with_a_plain_minimum(
    spark: SparkSession, observations: list[tuple[str, date, str, int | None, str | None]]
) -> None:
    believed = [
        (station, value, day)
        for station, day, element, value, doubt in observations
        if element == "TMIN" and value is not None and doubt is None
    ]
    expected = {}
    for station, tenths, day in sorted(believed, reverse=True):  # the least of each comes last
        celsius = Decimal(tenths).scaleb(-1)
        expected[station] = (celsius, celsius * 9 / 5 + 32, day)
    rows = [(*row[:4], None, row[4], "E") for row in observations]
    found = lowest_by_station(spark.createDataFrame(rows, SCHEMA)).collect()
    assert {row.station: tuple(row)[1:] for row in found} == expected
