"""How many ratings are there of each value? What counts, and what does not."""

from collections import Counter

import hypothesis.strategies as st
from hypothesis import given
from pyspark.sql import SparkSession

from millpond.catalog.analyses import RATING_HISTOGRAM
from millpond.spark.checks import conform_schema
from spark_apps.rating_histogram import count_by_value
from tests.spark.tables import frame

SCHEMA = "user_id int, movie_id int, rating double, rated_at timestamp, line_number bigint"


def histogram(spark: SparkSession, text: str) -> dict[float, int]:
    rows = count_by_value(frame(spark, SCHEMA, text))
    return {row.rating: row.ratings for row in rows.collect()}


def test_each_rating_of_a_movie_by_a_user_counts_once(spark: SparkSession) -> None:
    counted = histogram(
        spark,
        """
        1 | 10 | 4.0 | 2026-01-01 10:00:00 | 1  # the first 4
        2 | 10 | 4.0 | 2026-01-01 10:00:00 | 2  # another user, the second 4
        1 | 11 | 4.0 | 2026-01-01 10:00:00 | 3  # another movie, the third 4
        2 | 11 | 0.5 | 2026-01-01 10:00:00 | 4
        """,
    )
    assert counted == {0.5: 1, 4.0: 1 + 1 + 1}


def test_of_several_ratings_the_latest_counts(spark: SparkSession) -> None:
    counted = histogram(
        spark,
        """
        1 | 10 | 5.0 | 2026-01-03 10:00:00 | 1  # the latest, though first in the file
        1 | 10 | 1.0 | 2026-01-01 10:00:00 | 2
        1 | 10 | 2.0 | 2026-01-02 10:00:00 | 3
        """,
    )
    assert counted == {5.0: 1}


def test_of_two_at_the_same_second_the_later_line_counts(spark: SparkSession) -> None:
    counted = histogram(
        spark,
        """
        1 | 10 | 3.0 | 2026-01-01 10:00:00 | 10  # the later line, though it comes first here
        1 | 10 | 5.0 | 2026-01-01 10:00:00 | 9
        """,
    )
    assert counted == {3.0: 1}


def test_the_result_has_the_marts_columns(spark: SparkSession) -> None:
    rows = count_by_value(frame(spark, SCHEMA, "1 | 10 | 5.0 | 2026-01-01 10:00:00 | 1"))
    assert conform_schema(RATING_HISTOGRAM.mart, rows).dtypes == [
        ("rating", "double"),
        ("ratings", "bigint"),
    ]


# Few users, movies and seconds, so that repeated ratings and ties are common.
ratings = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(1, 3),
        st.integers(1, 10).map(lambda halves: halves / 2),
        st.integers(0, 2),
    ),
    max_size=40,
)


@given(ratings=ratings)
def test_it_agrees_with_a_plain_count(
    spark: SparkSession, ratings: list[tuple[int, int, float, int]]
) -> None:
    last: dict[tuple[int, int], float] = {}
    for user, movie, rating, _ in sorted(
        ratings, key=lambda row: row[3]
    ):  # stable: line order stays
        last[user, movie] = rating
    # The other way round: what counts is the line's number, not the order rows happen to have.
    rows = [(*row, line) for line, row in enumerate(ratings, start=1)][::-1]
    schema = "user_id int, movie_id int, rating double, second bigint, line_number bigint"
    as_rows = spark.createDataFrame(rows, schema).selectExpr(
        "user_id", "movie_id", "rating", "timestamp_seconds(second) AS rated_at", "line_number"
    )
    counted = {row.rating: row.ratings for row in count_by_value(as_rows).collect()}
    assert counted == Counter(last.values())
