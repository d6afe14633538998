"""What each figure of the recommender's metrics means, by hand and against plain Python."""

from collections import defaultdict
from math import log2, sqrt
from statistics import fmean

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from millpond.spark.evaluation import (
    PLACES,
    Errors,
    Quality,
    errors,
    first_unrated,
    hold_back,
    most_rated,
    quality,
    with_means,
)
from tests.spark.tables import frame

RATINGS = "user_id int, movie_id int, rating double"
LISTS = "user_id int, rank int, movie_id int"
PREDICTED = "rating double, prediction double, global_mean double, item_mean double, bias double"

Pair = tuple[int, int]
Ratings = dict[Pair, float]


def pairs(rows: DataFrame) -> list[Pair]:
    return [(row.user_id, row.movie_id) for row in rows.collect()]


def places(lists: DataFrame) -> dict[int, list[int]]:
    """Each user's movies; their ranks must be 1, 2, 3..."""
    found: dict[int, list[int]] = defaultdict(list)
    for row in lists.sort("user_id", "rank").collect():
        found[row.user_id].append(row.movie_id)
        assert row["rank"] == len(found[row.user_id])
    return dict(found)


@pytest.fixture(scope="module")
def many(spark: SparkSession) -> DataFrame:
    """The ratings of 100 users and 50 movies."""
    return spark.range(100 * 50, numPartitions=2).selectExpr(
        "int(id DIV 50) AS user_id", "int(id % 50) AS movie_id", "double(3) AS rating"
    )


def test_each_rating_is_either_learnt_from_or_held_back(many: DataFrame) -> None:
    train, held_back = (pairs(part) for part in hold_back(many, seed=1))
    assert sorted(train + held_back) == sorted(pairs(many))


def test_a_fifth_is_held_back(many: DataFrame) -> None:
    # Of 5000 independent throws, three standard deviations are 3 x sqrt(5000 x 1/5 x 4/5) = 85.
    assert hold_back(many, seed=1)[1].count() == pytest.approx(5000 / 5, abs=85)


def test_order_and_partitions_do_not_decide_what_is_held_back(many: DataFrame) -> None:
    otherwise = many.repartition(7, "movie_id").sortWithinPartitions(F.desc("user_id"))
    one, other = (hold_back(rows, seed=1)[1] for rows in (many, otherwise))
    assert sorted(pairs(one)) == sorted(pairs(other))


def test_other_ratings_do_not_decide_what_is_held_back(many: DataFrame) -> None:
    fewer = hold_back(many.where("user_id < 50"), seed=1)[1]
    assert set(pairs(fewer)) == {pair for pair in pairs(hold_back(many, seed=1)[1]) if pair[0] < 50}


def test_another_seed_holds_back_others(many: DataFrame) -> None:
    one, other = (set(pairs(hold_back(many, seed)[1])) for seed in (1, 2))
    # A fifth of a fifth of 5000 is in both, within three times sqrt(5000 x 1/25 x 24/25) = 14.
    assert len(one & other) == pytest.approx(5000 / 25, abs=3 * 14)


def test_means_are_of_the_ratings_learnt_from(spark: SparkSession) -> None:
    train = frame(
        spark,
        RATINGS,
        """
        1 | 10 | 5.0
        2 | 10 | 2.0
        2 | 11 | 0.5
        3 | 11 | 1.5
        """,
    )
    asked = frame(
        spark,
        RATINGS,
        """
        1 | 11 | 4.0
        9 | 10 | 4.0  # nobody knows the user
        2 | 99 | 4.0  # nor the movie
        9 | 99 | 4.0  # nor either
        """,
    )
    mean = (5.0 + 2.0 + 0.5 + 1.5) / 4
    of_10, of_11 = (5.0 + 2.0) / 2, (0.5 + 1.5) / 2
    bias_of_1 = 5.0 - of_10
    bias_of_2 = ((2.0 - of_10) + (0.5 - of_11)) / 2
    found = {
        (row.user_id, row.movie_id): (row.rating, row.global_mean, row.item_mean, row.bias)
        for row in with_means(asked, train).collect()
    }
    assert found == {
        (1, 11): (4.0, mean, of_11, of_11 + bias_of_1),
        (9, 10): (4.0, mean, of_10, of_10),
        (2, 99): (4.0, mean, mean, mean + bias_of_2),
        (9, 99): (4.0, mean, mean, mean),
    }


def test_errors_are_in_stars(spark: SparkSession) -> None:
    predicted = frame(
        spark,
        PREDICTED,
        """
        4.0 | 3.0 | 2.0 | 4.0 | 4.5
        1.0 | 4.0 | 2.0 | 2.0 | 1.0
        """,
    )
    assert errors(predicted) == Errors(
        rmse=sqrt(((4 - 3) ** 2 + (1 - 4) ** 2) / 2),
        mae=((4 - 3) + (4 - 1)) / 2,
        rmse_global_mean=sqrt(((4 - 2) ** 2 + (1 - 2) ** 2) / 2),
        rmse_item_mean=sqrt((0**2 + (1 - 2) ** 2) / 2),
        rmse_bias=sqrt(((4 - 4.5) ** 2 + 0**2) / 2),
    )


def test_what_is_rated_is_passed_over(spark: SparkSession) -> None:
    wanted = frame(
        spark,
        "user_id int, movie_id int, score double",
        """
        1 | 10 | 5.0  # rated
        1 | 11 | 4.0
        1 | 12 | 4.5
        1 | 13 | 4.0
        2 | 10 | 1.0
        2 | 11 | 2.0
        """,
    )
    rated = frame(spark, RATINGS, "1 | 10 | 0.5")
    first = first_unrated(wanted, rated, F.desc("score"), F.desc("movie_id"))
    assert places(first) == {1: [12, 13, 11], 2: [11, 10]}


def test_the_first_ten_are_kept(spark: SparkSession) -> None:
    wanted = spark.range(1, 21).selectExpr("1 AS user_id", "int(id) AS movie_id")
    rated = frame(spark, RATINGS, "1 | 3 | 4.0")
    assert places(first_unrated(wanted, rated, F.col("movie_id"))) == {
        1: [1, 2, *range(4, 4 + 10 - 2)]
    }


def test_the_most_rated_movies_come_first_then_the_lower_number(spark: SparkSession) -> None:
    train = frame(
        spark,
        RATINGS,
        """
        1 | 12 | 1.0
        2 | 12 | 1.0
        3 | 12 | 1.0
        2 | 11 | 5.0
        3 | 11 | 5.0
        2 | 10 | 5.0
        3 | 10 | 5.0
        2 | 13 | 5.0
        """,
    )
    # 12 has three ratings, 10 and 11 two each, 13 one; 2 has rated all of them.
    assert places(most_rated(train)) == {1: [10, 11, 13], 3: [13]}


def test_ten_of_the_most_rated_are_found_below_all_that_a_user_rated(spark: SparkSession) -> None:
    # User 1 has rated the twelve most rated of 30 movies, the others are rated by user 2 alone.
    train = spark.sql(
        "SELECT 1 AS user_id, int(id) AS movie_id, 3.0D AS rating FROM range(1, 13) "
        "UNION ALL SELECT 2, int(id), 3.0D FROM range(1, 31)"
    )
    assert places(most_rated(train)) == {1: [*range(13, 13 + 10)]}


def gain(place: int) -> float:
    return 1 / log2(place + 1)


QUALITY = {
    "of two liked movies one is recommended, in the second place": (
        """
        1 | 1 | 10
        1 | 2 | 11
        """,
        """
        1 | 11 | 4.0  # four stars are liked
        1 | 12 | 5.0
        1 | 10 | 3.5  # less is not
        """,
        Quality(1 / 10, gain(2) / (gain(1) + gain(2))),
    ),
    "all that was liked comes first": (
        """
        1 | 1 | 10
        1 | 2 | 11
        1 | 3 | 12
        """,
        """
        1 | 10 | 5.0
        1 | 11 | 4.5
        """,
        Quality(2 / 10, 1.0),
    ),
    "eleven liked movies have no more than ten places": (
        "\n".join(f"1 | {place} | {place}" for place in range(1, 11)),
        "\n".join(f"1 | {movie} | 5.0" for movie in range(1, 12)),
        Quality(10 / 10, 1.0),
    ),
    "users who liked nothing do not count, users without a hit do": (
        """
        1 | 1 | 10
        2 | 1 | 10
        3 | 1 | 10
        """,
        """
        1 | 10 | 5.0
        2 | 10 | 3.5
        3 | 11 | 5.0
        4 | 10 | 5.0  # nothing is recommended to this one
        """,
        Quality((1 / 10 + 0 + 0) / 3, (1 + 0 + 0) / 3),
    ),
    "a hit is the same user's": ("1 | 1 | 10", "2 | 10 | 5.0", Quality(0.0, 0.0)),
    "nobody liked anything": ("1 | 1 | 10", "1 | 10 | 1.0", Quality(0.0, 0.0)),
    "nothing was held back": ("1 | 1 | 10", "", Quality(0.0, 0.0)),
}


@pytest.mark.parametrize("case", QUALITY)
def test_quality(spark: SparkSession, case: str) -> None:
    recommended, held_back, expected = QUALITY[case]
    found = quality(frame(spark, LISTS, recommended), frame(spark, RATINGS, held_back))
    assert (found.precision, found.ndcg) == pytest.approx((expected.precision, expected.ndcg))


# Few users and movies, so that unknown ones and equal numbers of ratings are common.
ratings = st.dictionaries(
    st.tuples(st.integers(1, 4), st.integers(1, 14)),
    st.integers(1, 10).map(lambda halves: halves / 2),
    min_size=1,
    max_size=40,
)


def as_rows(spark: SparkSession, ratings: Ratings) -> DataFrame:
    rows = [(*pair, rating) for pair, rating in ratings.items()]
    return spark.createDataFrame(rows, RATINGS)


@settings(max_examples=5)  # each is several Spark jobs
@given(train=ratings, held_back=ratings)
def test_errors_of_the_means_agree_with_plain_ones(
    spark: SparkSession, train: Ratings, held_back: Ratings
) -> None:
    def item_mean(movie: int) -> float:
        return fmean([r for (_, m), r in train.items() if m == movie] or train.values())

    def bias(user: int) -> float:
        return fmean([r - item_mean(m) for (u, m), r in train.items() if u == user] or [0])

    def rmse(predict: dict[Pair, float]) -> float:
        return sqrt(fmean((held_back[pair] - predict[pair]) ** 2 for pair in held_back))

    by_means = with_means(as_rows(spark, held_back), as_rows(spark, train))
    found = errors(by_means.withColumn("prediction", F.col("user_id") + 0.25))
    expected = Errors(
        rmse=rmse({pair: pair[0] + 0.25 for pair in held_back}),
        mae=fmean(abs(held_back[user, movie] - user - 0.25) for user, movie in held_back),
        rmse_global_mean=rmse(dict.fromkeys(held_back, fmean(train.values()))),
        rmse_item_mean=rmse({pair: item_mean(pair[1]) for pair in held_back}),
        rmse_bias=rmse({(u, m): item_mean(m) + bias(u) for u, m in held_back}),
    )
    assert vars(found) == pytest.approx(vars(expected))


@settings(max_examples=5)  # each is several Spark jobs
@given(train=ratings, held_back=ratings)
def test_quality_of_the_most_rated_agrees_with_a_plain_one(
    spark: SparkSession, train: Ratings, held_back: Ratings
) -> None:
    rated = [movie for _, movie in train]
    by_ratings = sorted(set(rated), key=lambda movie: (-rated.count(movie), movie))
    lists = {
        user: [movie for movie in by_ratings if (user, movie) not in train][:PLACES]
        for user in {user for user, _ in train}
    }
    precisions, ndcgs = [0.0], [0.0]
    for user in {user for (user, _), rating in held_back.items() if rating >= 4}:
        liked = [m for (u, m), rating in held_back.items() if u == user and rating >= 4]
        hits = [place for place, m in enumerate(lists.get(user, []), start=1) if m in liked]
        precisions.append(len(hits) / 10)
        best = sum(gain(place) for place in range(1, min(len(liked), 10) + 1))
        ndcgs.append(sum(gain(place) for place in hits) / best)
    popular = most_rated(as_rows(spark, train))
    found = quality(popular, as_rows(spark, held_back))
    assert places(popular) == {user: movies for user, movies in lists.items() if movies}
    users = max(len(precisions) - 1, 1)  # the first of them is there for when nobody liked anything
    assert vars(found) == pytest.approx(
        {"precision": sum(precisions) / users, "ndcg": sum(ndcgs) / users}
    )
