"""Which ten movies would each user like best of those not rated yet?

A model learns from the ratings (one per user and movie, the latest; of two at the same second the
later line) a few tastes of each user and what each movie offers them: alternating least squares on
the stars themselves. `score` is the rating it predicts; it is no probability and may lie outside
0.5 to 5.0. A user's ten are those with the highest scores among all rated movies that this user has
not rated; of equal scores the lower movie number comes first. A user who has rated nearly every
movie gets fewer than ten.

Before that, the same learning from four fifths of the ratings is tested on the others (the metrics
table; `millpond.spark.evaluation` defines each figure). A held-back rating of a movie or by a user
that the four fifths do not have is predicted by the means. **Gate:** unless the predictions err
less than the movies' means do, nothing is published and the date keeps its former recommendations.

What is published was learnt from all ratings with the same parameters, and so was the saved model.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import asdict

from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from millpond.catalog import zones
from millpond.catalog.analyses import MOVIE_RECOMMENDER, RECOMMENDER_METRICS
from millpond.errors import BadInputError
from millpond.lake.receipts import Check
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
from millpond.spark.job import Job, execute
from millpond.spark.ratings import one_per_user_and_movie, with_titles

Parameters = Mapping[str, float]


def learn(ratings: DataFrame, parameters: Parameters) -> ALSModel:
    """The model of the ratings; the same ratings and parameters give the same model."""
    als = ALS(
        userCol="user_id",
        itemCol="movie_id",
        ratingCol="rating",
        rank=int(parameters["als_rank"]),
        maxIter=int(parameters["iterations"]),
        regParam=parameters["regularization"],
        seed=int(parameters["seed"]),
        # Not `drop`: what the model does not know would not be tested either.
        coldStartStrategy="nan",
        # An iteration remembers all before it, and Spark's recursion over ten of them overflowed
        # the stack. It wants a folder for checkpoints, which goes with the application.
        checkpointInterval=3,
    )
    # Sums of fractions depend on their order, so the order must not depend on who read what first.
    ordered = ratings.repartition(als.getNumUserBlocks(), "user_id").sortWithinPartitions(
        "user_id", "movie_id"
    )
    return als.fit(ordered)


def predict(model: ALSModel, train: DataFrame, held_back: DataFrame) -> DataFrame:
    """The held-back ratings with the model's `prediction`, and with those of the means."""
    predicted = model.transform(with_means(held_back, train))
    unknown = F.isnan("prediction")
    return predicted.withColumn(
        "prediction", F.when(unknown, F.col("bias")).otherwise(F.col("prediction").cast("double"))
    )


def recommend(model: ALSModel, ratings: DataFrame) -> DataFrame:
    """user_id, rank, movie_id, score: each user's ten best movies among those not rated."""
    most = ratings.groupBy("user_id").count().agg(F.max("count")).head()
    assert most is not None  # an aggregate without keys has one row
    # Of the first n + 10 movies, a user who rated n has not rated ten.
    lists = model.recommendForAllUsers(PLACES + most[0])
    candidates = lists.select("user_id", F.inline("recommendations").alias("movie_id", "score"))
    best_first = (F.desc("score"), F.col("movie_id"))
    return first_unrated(candidates, ratings, *best_first).select(
        "user_id", "rank", "movie_id", F.col("score").cast("double").alias("score")
    )


def gate(found: Errors) -> Check:
    """Whether the predictions err less than the movies' means."""
    limit = found.rmse_item_mean
    return Check("rmse", "error", found.rmse < limit, found.rmse, None, limit)


def metrics(
    parameters: Parameters,
    rows: tuple[int, int],
    found: Errors,
    lists: tuple[Quality, Quality],
) -> dict[str, object]:
    """The row of the metrics table; `rows` learnt from and held back, `lists` ours and popular."""
    ours, popular = lists
    return {
        "als_rank": int(parameters["als_rank"]),
        "iterations": int(parameters["iterations"]),
        "regularization": parameters["regularization"],
        "rows_train": rows[0],
        "rows_test": rows[1],
        **asdict(found),
        "precision_at_10": ours.precision,
        "ndcg_at_10": ours.ndcg,
        "precision_at_10_popularity": popular.precision,
        "ndcg_at_10_popularity": popular.ndcg,
        "gate": "published" if gate(found).passed else "refused",
    }


def evaluate(ratings: DataFrame, parameters: Parameters) -> tuple[Errors, dict[str, object]]:
    """Learn from four fifths of the ratings, and measure on the others."""
    train, held_back = (part.persist() for part in hold_back(ratings, int(parameters["seed"])))
    rows = train.count(), held_back.count()
    if 0 in rows:
        raise BadInputError(
            f"{sum(rows)} ratings are too few to learn from some and test on others; give more"
        )
    model = learn(train, parameters)
    found = errors(predict(model, train, held_back))
    lists = quality(recommend(model, train), held_back), quality(most_rated(train), held_back)
    for part in (train, held_back):
        part.unpersist()
    return found, metrics(parameters, rows, found, lists)


def main(job: Job) -> None:
    """Read, evaluate, publish the metrics; past the gate, learn from all and publish the lists."""
    parameters = MOVIE_RECOMMENDER.values(dict(job.run.settings))
    job.spark.sparkContext.setCheckpointDir(f"{os.environ['SPARK_YARN_STAGING_DIR']}/checkpoints")
    ratings = one_per_user_and_movie(job.read_clean("ratings")).persist()
    movies = job.read_clean("movies")
    with job.phase("compute"):
        found, row = evaluate(ratings, parameters)
    schema = ", ".join(f"{column.name} {column.type}" for column in RECOMMENDER_METRICS.columns)
    job.publish(RECOMMENDER_METRICS, job.spark.createDataFrame([row], schema))
    if not gate(found).passed:
        job.refuse(MOVIE_RECOMMENDER.mart, gate(found))
        return
    with job.phase("compute"):
        model = learn(ratings, parameters)
        saved = zones.model(
            job.run.root, MOVIE_RECOMMENDER.name, job.run.ds, job.spark.sparkContext.applicationId
        )
        model.save(job.hdfs_url + saved)
    job.add_file(saved)
    recommended = with_titles(recommend(model, ratings), movies)
    job.publish(MOVIE_RECOMMENDER.mart, recommended, checks=[gate(found)])


if __name__ == "__main__":
    execute(MOVIE_RECOMMENDER.mart, main, sys.argv[1:])
