"""Which movies have the most ratings, and how are they liked? What counts, and what does not."""

from collections.abc import Iterator

import hypothesis.strategies as st
import pytest
from hypothesis import given
from pyspark.sql import SparkSession

from millpond.catalog.analyses import POPULAR_MOVIES
from millpond.spark.checks import conform_schema
from spark_apps.popular_movies import rank_movies
from tests.spark.tables import frame

RATINGS = "user_id int, movie_id int, rating double, rated_at timestamp, line_number bigint"
MOVIES = "movie_id int, title string, release_date date"

NAMES = """
10 | The Mill | 1995-01-01
11 | The Pond | -
12 | The Weir | -
"""


def popular(spark: SparkSession, ratings: str) -> dict[int, tuple[str | None, int, float]]:
    rows = rank_movies(frame(spark, RATINGS, ratings), frame(spark, MOVIES, NAMES)).collect()
    return {row.movie_id: (row.title, row.ratings, row.average_rating) for row in rows}


def test_each_user_counts_once_per_movie(spark: SparkSession) -> None:
    found = popular(
        spark,
        """
        1 | 10 | 4.0 | 2026-01-01 10:00:00 | 1
        2 | 10 | 4.0 | 2026-01-01 10:00:00 | 2
        3 | 10 | 0.5 | 2026-01-01 10:00:00 | 3
        1 | 11 | 3.0 | 2026-01-01 10:00:00 | 4
        """,  # and nobody has rated 12
    )
    assert found == {10: ("The Mill", 3, (4.0 + 4.0 + 0.5) / 3), 11: ("The Pond", 1, 3.0 / 1)}


def test_of_several_ratings_the_latest_counts_and_then_the_later_line(spark: SparkSession) -> None:
    found = popular(
        spark,
        """
        1 | 10 | 5.0 | 2026-01-03 10:00:00 | 1  # the latest, though first in the file
        1 | 10 | 1.0 | 2026-01-01 10:00:00 | 2
        2 | 10 | 3.0 | 2026-01-01 10:00:00 | 4  # the later line
        2 | 10 | 4.0 | 2026-01-01 10:00:00 | 3
        """,
    )
    assert found == {10: ("The Mill", 2, (5.0 + 3.0) / 2)}


def test_a_movie_without_a_name_counts_and_has_no_title(spark: SparkSession) -> None:
    found = popular(
        spark,
        """
        1 | 99 | 4.0 | 2026-01-01 10:00:00 | 1
        2 | 99 | 1.5 | 2026-01-01 10:00:00 | 2
        """,
    )
    assert found == {99: (None, 2, (4.0 + 1.5) / 2)}


def test_no_rating_has_no_movie(spark: SparkSession) -> None:
    assert popular(spark, "") == {}


@pytest.fixture
def no_automatic_broadcast(spark: SparkSession) -> Iterator[None]:
    spark.conf.set("spark.sql.autoBroadcastJoinThreshold", "-1")
    yield
    spark.conf.unset("spark.sql.autoBroadcastJoinThreshold")


@pytest.mark.usefixtures("no_automatic_broadcast")
def test_the_names_are_broadcast_on_demand(spark: SparkSession) -> None:
    rows = rank_movies(
        frame(spark, RATINGS, "1 | 10 | 4.0 | 2026-01-01 10:00:00 | 1"), frame(spark, MOVIES, NAMES)
    )
    plan = rows._jdf.queryExecution().executedPlan().toString()
    # The names are the side that is copied: the rows of the left one stay where they are.
    assert "BroadcastHashJoin [movie_id#" in plan
    assert "LeftOuter, BuildRight" in plan
    assert "SortMergeJoin" not in plan


def test_the_result_has_the_marts_columns(spark: SparkSession) -> None:
    rows = rank_movies(
        frame(spark, RATINGS, "1 | 10 | 4.0 | 2026-01-01 10:00:00 | 1"), frame(spark, MOVIES, NAMES)
    )
    assert conform_schema(POPULAR_MOVIES.mart, rows).dtypes == [
        ("movie_id", "int"),
        ("title", "string"),
        ("ratings", "bigint"),
        ("average_rating", "double"),
    ]


# Few users, movies and seconds, so that repeated ratings and ties are common.
ratings = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.integers(1, 4),
        st.integers(1, 10).map(lambda halves: halves / 2),
        st.integers(0, 2),
    ),
    max_size=40,
)


@given(
    ratings=ratings, titles=st.dictionaries(st.integers(1, 5), st.sampled_from("ABC"), min_size=1)
)
def test_it_agrees_with_a_plain_mean(
    spark: SparkSession, ratings: list[tuple[int, int, float, int]], titles: dict[int, str]
) -> None:
    last: dict[tuple[int, int], float] = {}
    for user, movie, rating, _ in sorted(ratings, key=lambda row: row[3]):  # stable
        last[movie, user] = rating
    by_movie: dict[int, list[float]] = {}
    for (movie, _), rating in last.items():
        by_movie.setdefault(movie, []).append(rating)
    # The other way round: what counts is the line's number, not the order rows happen to have.
    rows = [(*row, line) for line, row in enumerate(ratings, start=1)][::-1]
    schema = "user_id int, movie_id int, rating double, second bigint, line_number bigint"
    as_rows = spark.createDataFrame(rows, schema).withColumnRenamed("second", "rated_at")
    movies = spark.createDataFrame(list(titles.items()), "movie_id int, title string")
    found = rank_movies(as_rows, movies).collect()
    assert {row.movie_id: (row.title, row.ratings, row.average_rating) for row in found} == {
        movie: (titles.get(movie), len(stars), sum(stars) / len(stars))
        for movie, stars in by_movie.items()
    }
