"""How much has each customer spent?

Counted: every order of the clean rows, refunds (negative amounts) included, so `total_spent` is
what was paid less what was given back, and may be negative. Equal lines are different orders.
Amounts are decimals with two places, and their sum is exact. A sum of 10^16 or more does not fit
the column: it is a null, and the check `totals_too_large` stops the publication.
"""

import sys

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from millpond.catalog.analyses import CUSTOMER_TOTALS
from millpond.spark.job import Job, execute


def total_by_customer(orders: DataFrame) -> DataFrame:
    """customer_id, total_spent, orders: the exact sum of each customer's amounts."""
    return orders.groupBy("customer_id").agg(
        F.sum("amount").try_cast("decimal(18,2)").alias("total_spent"),
        F.count("*").alias("orders"),
    )


def main(job: Job) -> None:
    """Read the clean orders, add up, publish."""
    orders = job.read_clean("orders")
    job.publish(CUSTOMER_TOTALS.mart, total_by_customer(orders))


if __name__ == "__main__":
    execute(CUSTOMER_TOTALS.mart, main, sys.argv[1:])
