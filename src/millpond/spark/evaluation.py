"""How well are ratings predicted and movies recommended, beside simple means and popularity?

Everything is measured on ratings that were held back, each of them: where there is no prediction
the best of the means stands in for it.
"""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

# Recommendations per user; the metrics at 10 are of them.
PLACES = 10
LIKED = 4.0  # stars from which a user is taken to have liked a movie
PAIR = ["user_id", "movie_id"]


@dataclass(frozen=True)
class Errors:
    """Errors in stars, over all ratings that were held back.

    `rmse` is the root of the mean of the squares of rating - prediction, `mae` the mean of its
    absolute values; the others are the same root for the three means of `with_means`.
    """

    rmse: float
    mae: float
    rmse_global_mean: float
    rmse_item_mean: float
    rmse_bias: float


@dataclass(frozen=True)
class Quality:
    """How good the first ten are, on average over the users who liked something held back.

    Only ratings held back tell who liked what: a movie that a user has never rated counts as one
    not liked. `precision` is the number of liked movies among the ten, divided by ten even where
    fewer were recommended or liked. `ndcg` lets a liked movie at place p count 1 / log2(p + 1), and
    divides by what the user's liked movies would count in the first places. Both are 0 to 1, and 0
    if nobody liked anything.
    """

    precision: float
    ndcg: float


def hold_back(ratings: DataFrame, seed: int) -> tuple[DataFrame, DataFrame]:
    """Four fifths of the ratings to learn from, and the others.

    A hash decides, so that a rating's side depends on nothing but its user, its movie and the seed.
    """
    fifth = F.pmod(F.xxhash64(F.lit(seed), *PAIR), F.lit(5))
    return ratings.where(fifth != 0), ratings.where(fifth == 0)


def with_means(rows: DataFrame, train: DataFrame) -> DataFrame:
    """The rows with three predictions that need no learning, from the ratings of `train`.

    `global_mean`, of all ratings; `item_mean`, the movie's, or the global mean if it has none;
    `bias`, the item mean plus how far the user's ratings lie from their movies' means on average,
    or plus 0 if the user has none.
    """
    mean = F.lit(train.agg(F.avg("rating")).head()[0])  # type: ignore[index]  # an aggregate has a row
    of_movie = train.groupBy("movie_id").agg(F.avg("rating").alias("item_mean"))
    from_mean = F.avg(F.col("rating") - F.col("item_mean"))
    of_user = train.join(of_movie, "movie_id").groupBy("user_id").agg(from_mean.alias("user_bias"))
    known = rows.join(of_movie, "movie_id", "left").join(of_user, "user_id", "left")
    item_mean = F.coalesce("item_mean", mean)
    return known.withColumns(
        {
            "global_mean": mean,
            "item_mean": item_mean,
            "bias": item_mean + F.coalesce("user_bias", F.lit(0.0)),
        }
    ).drop("user_bias")


def errors(predicted: DataFrame) -> Errors:
    """How far `prediction` and the means are from `rating`."""
    found = predicted.agg(
        _rmse("prediction").alias("rmse"),
        F.avg(F.abs(F.col("rating") - F.col("prediction"))).alias("mae"),
        *(_rmse(mean).alias(f"rmse_{mean}") for mean in ("global_mean", "item_mean", "bias")),
    ).head()
    assert found is not None  # an aggregate without keys has one row
    return Errors(**found.asDict())


def _rmse(prediction: str) -> Column:
    return F.sqrt(F.avg(F.pow(F.col("rating") - F.col(prediction), F.lit(2))))


def first_unrated(candidates: DataFrame, rated: DataFrame, *order: Column) -> DataFrame:
    """The first ten candidates of each user, in that order, that are not rated; `rank` from 1."""
    place = F.row_number().over(Window.partitionBy("user_id").orderBy(*order))
    unrated = candidates.join(rated.select(PAIR), PAIR, "left_anti")
    return unrated.withColumn("rank", place).where(F.col("rank") <= PLACES)


def most_rated(train: DataFrame) -> DataFrame:
    """user_id, movie_id, rank: the ten most rated movies that each user has not rated."""
    by_ratings = Window.orderBy(F.desc("count"), "movie_id")
    popular = train.groupBy("movie_id").count()
    ranked = popular.select("movie_id", F.row_number().over(by_ratings).alias("place"))
    # Of the first n + 10 movies, a user who rated n has not rated ten.
    places = F.sequence(F.lit(1), F.count("*").cast("int") + PLACES)
    enough = train.groupBy("user_id").agg(places.alias("places"))
    candidates = enough.select("user_id", F.explode("places").alias("place")).join(ranked, "place")
    return first_unrated(candidates, train, F.col("place")).select(*PAIR, "rank")


def quality(recommended: DataFrame, held_back: DataFrame) -> Quality:
    """How many of the recommended movies users liked, by the ratings that were held back."""
    liked = held_back.where(F.col("rating") >= LIKED).select(PAIR)
    hits = (
        recommended.join(liked, PAIR, "left_semi")
        .groupBy("user_id")
        .agg(F.count("*").alias("hits"), F.sum(_gain(F.col("rank"))).alias("gain"))
    )
    of_users = liked.groupBy("user_id").count().join(hits, "user_id", "left")
    best = F.aggregate(
        F.sequence(F.lit(1), F.least(F.col("count").cast("int"), F.lit(PLACES))),
        F.lit(0.0),
        lambda total, place: total + _gain(place),
    )
    found = of_users.agg(
        F.coalesce(F.avg(F.coalesce("hits", F.lit(0)) / PLACES), F.lit(0.0)).alias("precision"),
        F.coalesce(F.avg(F.coalesce("gain", F.lit(0.0)) / best), F.lit(0.0)).alias("ndcg"),
    ).head()
    assert found is not None  # an aggregate without keys has one row
    return Quality(**found.asDict())


def _gain(place: Column) -> Column:
    return 1 / F.log2(place + 1)
