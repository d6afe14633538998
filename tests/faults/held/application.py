"""How many ratings of five stars does a test say there are?

It waits until the test has written that number to `<root>/held/<date>`, and publishes it.
"""

import sys
import time

from millpond.catalog.analyses import RATING_HISTOGRAM
from millpond.lake.receipts import Source
from millpond.spark.job import Job, execute


def main(job: Job) -> None:
    """Wait, publish."""
    flag = f"{job.run.root}/held/{job.run.ds}"
    while not (said := job.hdfs.read(flag)):
        time.sleep(0.1)
    job.add_input(Source(flag), rows=1)
    rows = job.spark.createDataFrame([(5.0, int(said))], "rating double, ratings bigint")
    job.publish(RATING_HISTOGRAM.mart, rows)


if __name__ == "__main__":
    execute(RATING_HISTOGRAM.mart, main, sys.argv[1:])
