"""What the analyses of ratings share."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def one_per_user_and_movie(ratings: DataFrame) -> DataFrame:
    """Each user's opinion of each movie: user_id, movie_id, rating.

    Of several ratings the latest `rated_at` counts, and of two at the same second the later line.
    """
    latest = F.max_by("rating", F.struct("rated_at", "line_number"))
    return ratings.groupBy("user_id", "movie_id").agg(latest.alias("rating"))
