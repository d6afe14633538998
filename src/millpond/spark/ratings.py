"""What the analyses of ratings share."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


def one_per_user_and_movie(ratings: DataFrame) -> DataFrame:
    """Each user's opinion of each movie: user_id, movie_id, rating.

    Of several ratings the latest `rated_at` counts, and of two at the same second the later line.
    """
    latest = F.max_by("rating", F.struct("rated_at", "line_number"))
    return ratings.groupBy("user_id", "movie_id").agg(latest.alias("rating"))


def with_titles(rows: DataFrame, movies: DataFrame) -> DataFrame:
    """The rows with the title of their movie, null where `movies` has none.

    The names are a small table: each executor gets a copy of them, so that the rows stay where they
    are. That is asked for and not left to Spark's guess of the table's size.
    """
    names = movies.select("movie_id", "title")
    return rows.join(F.broadcast(names), on="movie_id", how="left")
