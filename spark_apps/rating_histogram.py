"""How many ratings are there of each value?

Counted: every rating of a movie by a user, once per user and movie. Of several ratings of one movie
by one user the latest counts; of two at the same second, the later line of the source file. Values
are 0.5 to 5.0 in halves; a value that nobody gave has no row. `ratings` is a number of ratings,
never null.
"""

import sys

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from millpond.catalog.analyses import RATING_HISTOGRAM
from millpond.spark.job import Job, execute
from millpond.spark.ratings import one_per_user_and_movie


def count_by_value(ratings: DataFrame) -> DataFrame:
    """rating, ratings: the number of ratings of each value."""
    return one_per_user_and_movie(ratings).groupBy("rating").agg(F.count("*").alias("ratings"))


def main(job: Job) -> None:
    """Read the clean ratings, count, publish."""
    ratings = job.read_clean("ratings")
    job.publish(RATING_HISTOGRAM.mart, count_by_value(ratings))


if __name__ == "__main__":
    execute(RATING_HISTOGRAM.mart, main, sys.argv[1:])
