"""What is the lowest temperature of each station, and when did it first occur?

Counted: observations of the element TMIN that have a value and no quality flag. What failed a test
of quality is left out, however plausible it looks. A station that has no such observation has no
row. Of several days with the lowest value the first counts. Source values are tenths of a degree
Celsius, so `min_celsius` is exact; `min_fahrenheit` is celsius * 9/5 + 32, exact in two decimals.
"""

import sys

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from millpond.catalog.analyses import MIN_TEMPERATURES
from millpond.spark.job import Job, execute


def lowest_by_station(observations: DataFrame) -> DataFrame:
    """station, min_celsius, min_fahrenheit, observed_on: each station's lowest believed minimum."""
    believed = F.col("quality_flag").isNull() & F.col("value").isNotNull()
    minima = observations.where((F.col("element") == "TMIN") & believed)
    lowest = minima.groupBy("station").agg(F.min(F.struct("value", "observed_on")).alias("lowest"))
    return lowest.select(
        "station",
        _celsius("lowest.value").alias("min_celsius"),
        _fahrenheit("lowest.value").alias("min_fahrenheit"),
        "lowest.observed_on",
    )


def _celsius(tenths: str) -> Column:
    return F.expr(f"CAST({tenths} * 0.1BD AS DECIMAL(5, 1))")


def _fahrenheit(tenths: str) -> Column:
    return F.expr(f"CAST({tenths} * 0.18BD + 32 AS DECIMAL(6, 2))")


def main(job: Job) -> None:
    """Read the clean observations, find the lowest, publish."""
    observations = job.read_clean("temperatures")
    job.publish(MIN_TEMPERATURES.mart, lowest_by_station(observations))


if __name__ == "__main__":
    execute(MIN_TEMPERATURES.mart, main, sys.argv[1:])
