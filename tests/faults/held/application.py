"""How many ratings of each value does a test say there are?

It waits until the test has written that number to `<root>/held/<date>`, and publishes it for every
value, in more than one file: who sees a part of them sees that it is one.
"""

import sys
import time

from millpond.catalog.analyses import RATING_HISTOGRAM
from millpond.lake.receipts import Source
from millpond.spark.job import Job, execute

VALUES = [halves / 2 for halves in range(1, 11)]


def main(job: Job) -> None:
    """Wait, publish."""
    flag = f"{job.run.root}/held/{job.run.ds}"
    while not (said := job.hdfs.read(flag)):
        time.sleep(0.1)
    job.add_input(Source(flag), rows=1)
    counts = [(value, int(said)) for value in VALUES]
    rows = job.spark.createDataFrame(counts, "rating double, ratings bigint")
    job.publish(RATING_HISTOGRAM.mart, rows.repartition(2))


if __name__ == "__main__":
    execute(RATING_HISTOGRAM.mart, main, sys.argv[1:])
