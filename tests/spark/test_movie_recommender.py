"""What is recommended to whom, by hand and against numpy; when the gate opens; what is learnt."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from millpond.catalog.analyses import MOVIE_RECOMMENDER, RECOMMENDER_METRICS
from millpond.errors import BadInputError
from millpond.lake.receipts import Check
from millpond.spark.checks import conform_schema
from millpond.spark.evaluation import Errors, hold_back, with_means
from spark_apps.movie_recommender import evaluate, gate, learn, predict, recommend
from tests.spark.tables import frame

RATINGS = "user_id int, movie_id int, rating double"
FACTORS = "id int, features array<float>"
# Small, so that tests are quick; three tastes are more than the two that were planted.
PARAMETERS = {**MOVIE_RECOMMENDER.values({}), "als_rank": 3, "iterations": 5}
USERS, MOVIES = range(1, 61), range(101, 141)

Factors = Mapping[int, tuple[float, ...]]
List = list[tuple[int, float]]


def rate(spark: SparkSession, stars: np.ndarray, share: float) -> DataFrame:
    """Ratings of a random share of the pairs, in half stars; user 1 leaves out three movies."""
    rated = np.random.default_rng(2).random(stars.shape) < share
    rated[0] = [movie not in (101, 102, 103) for movie in MOVIES]
    rows = [
        (user, movie, round(2 * float(stars[u, m])) / 2)
        for u, user in enumerate(USERS)
        for m, movie in enumerate(MOVIES)
        if rated[u, m]
    ]
    return spark.createDataFrame(rows, RATINGS)


@pytest.fixture(scope="module")
def planted(spark: SparkSession) -> DataFrame:
    """Half of the users like one half of the movies, the others the other half."""
    users, movies = np.array(USERS)[:, None] % 2, np.array(MOVIES)[None, :] % 2
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (len(USERS), len(MOVIES)))
    return rate(spark, np.where(users == movies, 4.5, 1.5) + noise, share=0.5).persist()


@pytest.fixture(scope="module")
def model(planted: DataFrame) -> ALSModel:
    return learn(planted, PARAMETERS)


def by_hand(spark: SparkSession, users: Factors, movies: Factors) -> ALSModel:
    """A model with these factors instead of learnt ones."""
    of_users, of_movies = (
        spark.createDataFrame([(key, list(f)) for key, f in factors.items()], FACTORS)
        for factors in (users, movies)
    )
    rank = len(next(iter(users.values())))
    made = spark._jvm.org.apache.spark.ml.recommendation.ALSModel(  # type: ignore[union-attr]  # PySpark only learns models
        "by hand",
        rank,
        of_users._jdf,
        of_movies._jdf,
    )
    return ALSModel(made.setUserCol("user_id").setItemCol("movie_id"))


def lists(recommended: DataFrame) -> dict[int, List]:
    """Each user's movies with their scores; the ranks must be 1, 2, 3..."""
    found: dict[int, List] = defaultdict(list)
    for row in recommended.sort("user_id", "rank").collect():
        found[row.user_id].append((row.movie_id, row.score))
        assert row["rank"] == len(found[row.user_id])
    return dict(found)


def factors(rows: DataFrame) -> Factors:
    return {row.id: tuple(row.features) for row in rows.collect()}


def best_unrated(users: Factors, movies: Factors, rated: set[tuple[int, int]]) -> dict[int, List]:
    """The lists by plain scalar products."""
    return {
        user: sorted(
            (
                (movie, float(np.dot(taste, offer)))
                for movie, offer in movies.items()
                if (user, movie) not in rated
            ),
            key=lambda scored: (-scored[1], scored[0]),
        )[:10]
        for user, taste in users.items()
    }


def test_what_a_user_has_rated_is_not_recommended(spark: SparkSession) -> None:
    movies = {movie: (float(movie),) for movie in range(1, 5)}
    made = by_hand(spark, {1: (1.0,), 2: (-1.0,)}, movies)
    rated = frame(
        spark,
        RATINGS,
        """
        1 | 4 | 0.5
        1 | 2 | 5.0
        2 | 1 | 5.0
        """,
    )
    assert lists(recommend(made, rated)) == {
        1: [(3, 1.0 * 3), (1, 1.0 * 1)],
        2: [(2, -1.0 * 2), (3, -1.0 * 3), (4, -1.0 * 4)],
    }


def test_of_equal_scores_the_lower_movie_number_comes_first(spark: SparkSession) -> None:
    movies = {12: (2.0,), 30: (2.0,), 4: (2.0,), 7: (1.0,), 9: (3.0,), 1: (0.0,)}
    made = by_hand(spark, {1: (1.0,)}, movies)
    assert lists(recommend(made, frame(spark, RATINGS, "1 | 1 | 5.0"))) == {
        1: [(9, 3.0), (4, 2.0), (12, 2.0), (30, 2.0), (7, 1.0)]
    }


@settings(max_examples=5)  # each is a hundred small Spark tasks
@given(
    rated=st.sets(st.tuples(st.integers(1, 4), st.integers(1, 30)), max_size=80),
    data=st.data(),
)
def test_the_best_unrated_agree_with_plain_products(
    spark: SparkSession, rated: set[tuple[int, int]], data: st.DataObject
) -> None:
    # A different first factor for each movie: no two scores of a user are equal.
    first = data.draw(st.permutations(range(-15, 15)))
    movies = {movie: (float(first[movie - 1]), 1.0) for movie in range(1, 31)}
    users = {user: ((-1.0) ** user, 0.5 * user) for user in range(1, 5)}
    rated |= {(user, 31) for user in users}  # everybody has rated something
    rows = spark.createDataFrame([(*pair, 3.0) for pair in rated], RATINGS)
    found = lists(recommend(by_hand(spark, users, movies), rows))
    assert found == {u: best for u, best in best_unrated(users, movies, rated).items() if best}


def test_scores_are_the_scalar_products_of_the_factors(model: ALSModel, planted: DataFrame) -> None:
    rated = {(row.user_id, row.movie_id) for row in planted.collect()}
    expected = best_unrated(factors(model.userFactors), factors(model.itemFactors), rated)
    found = lists(recommend(model, planted))
    assert {user: len(best) for user, best in found.items()} == {
        user: 3 if user == 1 else 10 for user in USERS
    }
    for user in USERS:
        assert dict(found[user]) == pytest.approx(dict(expected[user]), rel=1e-5)


def test_the_same_ratings_and_parameters_give_the_same_recommendations(
    model: ALSModel, planted: DataFrame
) -> None:
    otherwise = planted.repartition(7, "movie_id").sortWithinPartitions(F.desc("user_id"))
    again = learn(otherwise, PARAMETERS)
    assert lists(recommend(again, otherwise)) == lists(recommend(model, planted))


def test_what_the_model_does_not_know_is_predicted_by_the_means(
    spark: SparkSession, model: ALSModel, planted: DataFrame
) -> None:
    held_back = frame(
        spark,
        RATINGS,
        """
        1   | 101 | 4.0
        1   | 999 | 4.0  # nobody knows the movie
        999 | 101 | 4.0  # nor the user
        999 | 999 | 4.0  # nor either
        """,
    )
    bias = {
        (row.user_id, row.movie_id): row.bias for row in with_means(held_back, planted).collect()
    }
    known = np.dot(factors(model.userFactors)[1], factors(model.itemFactors)[101])
    predicted = {
        (row.user_id, row.movie_id): row.prediction
        for row in predict(model, planted, held_back).collect()
    }
    assert predicted == pytest.approx({**bias, (1, 101): known}, rel=1e-5)


def test_the_gate_opens_below_the_error_of_the_movies_means() -> None:
    # The other means do not decide.
    found = Errors(0.99, mae=0.8, rmse_global_mean=0.5, rmse_item_mean=1.0, rmse_bias=0.5)
    assert gate(found) == Check(
        "rmse", "error", passed=True, figure=0.99, minimum=None, maximum=1.0
    )
    for rmse in (1.0, 1.01, float("nan")):
        assert not gate(replace(found, rmse=rmse)).passed


def test_planted_tastes_are_learnt(planted: DataFrame) -> None:
    found, row = evaluate(planted, PARAMETERS)
    # The means know nothing of who likes which half: they err by half the distance of 1.5 and 4.5.
    means = (found.rmse_global_mean, found.rmse_item_mean, found.rmse_bias)
    assert min(means) > (4.5 - 1.5) / 2 * 0.9
    assert found.rmse < 0.6 * min(means)
    assert row["ndcg_at_10"] > row["ndcg_at_10_popularity"]  # type: ignore[operator]
    assert row["gate"] == "published"
    assert row["rows_train"] + row["rows_test"] == planted.count()  # type: ignore[operator]
    # What was kept in memory for it is given back before all ratings are learnt from.
    parts = hold_back(planted, int(PARAMETERS["seed"]))
    assert not any(part.storageLevel.useMemory for part in parts)


def test_without_tastes_nothing_is_learnt(spark: SparkSession) -> None:
    stars = np.random.default_rng(3).uniform(1, 5, (len(USERS), len(MOVIES)))
    found, row = evaluate(rate(spark, stars, share=0.25), PARAMETERS)
    assert found.rmse > found.rmse_item_mean
    assert row["gate"] == "refused"
    # The row is as the metrics table declares it.
    schema = ", ".join(f"{column.name} {column.type}" for column in RECOMMENDER_METRICS.columns)
    rows = conform_schema(RECOMMENDER_METRICS, spark.createDataFrame([row], schema))
    assert rows.dtypes == [(column.name, column.type) for column in RECOMMENDER_METRICS.columns]
    assert list(row) == rows.columns
    assert rows.head().asDict() == row  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["", "1 | 10 | 5.0"])
def test_too_few_ratings_are_bad_input(spark: SparkSession, text: str) -> None:
    ratings = frame(spark, RATINGS, text)
    sentence = f"{ratings.count()} ratings are too few to learn from some and test on others"
    with pytest.raises(BadInputError, match=sentence):
        evaluate(ratings, PARAMETERS)


def test_parameters_reach_the_learning(planted: DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ALS, "fit", lambda als, _: als)
    given = {"als_rank": "7", "iterations": "3", "regularization": "0.25", "seed": "11"}
    als: object = learn(planted, MOVIE_RECOMMENDER.values(given))
    assert isinstance(als, ALS)
    assert (als.getRank(), als.getMaxIter(), als.getRegParam(), als.getSeed()) == (7, 3, 0.25, 11)
    assert not als.getImplicitPrefs()  # stars are what is learnt, not that there are some


def test_a_model_has_as_many_factors_as_its_rank(model: ALSModel) -> None:
    sizes = {
        len(f) for rows in (model.userFactors, model.itemFactors) for f in factors(rows).values()
    }
    assert sizes == {PARAMETERS["als_rank"]}


def test_the_least_regularization_suffices_for_fewer_ratings_than_tastes(
    spark: SparkSession,
) -> None:
    # Without any, the equations of a user with one rating have no single solution, and Spark fails.
    [least] = (p.minimum for p in MOVIE_RECOMMENDER.parameters if p.name == "regularization")
    ratings = frame(
        spark,
        RATINGS,
        """
        1 | 10 | 5.0
        2 | 10 | 1.0
        """,
    )
    learnt = learn(ratings, {**PARAMETERS, "als_rank": 200, "regularization": least})
    [movie] = factors(learnt.itemFactors).values()
    users = factors(learnt.userFactors)
    assert {user: np.dot(taste, movie) for user, taste in users.items()} == pytest.approx(
        {1: 5.0, 2: 1.0}, abs=0.1
    )
