"""How many friends do people of each age have on average?

Counted: every person of the clean rows once; of several lines about one person the first counts.
`average_friends` is the mean of their numbers of friends, not rounded; people without friends count
with 0. An age that nobody has has no row. Neither column is ever null.
"""

import sys

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from millpond.catalog.analyses import FRIENDS_BY_AGE
from millpond.spark.job import Job, execute


def average_by_age(people: DataFrame) -> DataFrame:
    """age, people, average_friends: the mean number of friends of the people of each age."""
    return people.groupBy("age").agg(
        F.count("*").alias("people"), F.avg("friends").alias("average_friends")
    )


def main(job: Job) -> None:
    """Read the clean people, average, publish."""
    people = job.read_clean("friends")
    job.publish(FRIENDS_BY_AGE.mart, average_by_age(people))


if __name__ == "__main__":
    execute(FRIENDS_BY_AGE.mart, main, sys.argv[1:])
