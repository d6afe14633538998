"""Which movies have the most ratings, and what do people think of them?

Counted: every rating of a movie by a user, once per user and movie; of several the latest counts,
and of two at the same second the later line. `average_rating` is their mean, not rounded. A movie
that has ratings and no line in `movies` keeps a null title; one that nobody rated has no row.

The names are a small table beside many ratings: each executor gets a copy of them (a broadcast), so
that the ratings stay where they are. The join is one to one: `movies` has each id once.
"""

import sys

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from millpond.catalog.analyses import POPULAR_MOVIES
from millpond.spark.job import Job, execute
from millpond.spark.ratings import one_per_user_and_movie, with_titles


def rank_movies(ratings: DataFrame, movies: DataFrame) -> DataFrame:
    """movie_id, title, ratings, average_rating: each rated movie with its name."""
    popular = (
        one_per_user_and_movie(ratings)
        .groupBy("movie_id")
        .agg(F.count("*").alias("ratings"), F.avg("rating").alias("average_rating"))
    )
    return with_titles(popular, movies)


def main(job: Job) -> None:
    """Read the clean ratings and movies, count and name, publish."""
    ratings, movies = job.read_clean("ratings"), job.read_clean("movies")
    job.publish(POPULAR_MOVIES.mart, rank_movies(ratings, movies))


if __name__ == "__main__":
    execute(POPULAR_MOVIES.mart, main, sys.argv[1:])
