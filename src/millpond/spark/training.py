"""A little of all that applications do, so that its classes can be archived (cluster/classes.py).

    training.py FOLDER

It works in a folder of its own and has no result.
"""

import sys
from pathlib import Path

from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

from millpond.catalog.datasets import dataset
from millpond.spark.checks import conform_schema, measure
from millpond.spark.lines import read_lines


def train(spark: SparkSession, folder: Path) -> None:
    """Read text, parse, judge, rank, join, count, write and read Parquet."""
    source = folder / "lines.txt"
    source.write_text("".join(f"{n},{n % 7},2026-01-{n % 28 + 1:02},{n}.50\n" for n in range(100)))
    part = F.split("line", ",")
    rows = read_lines(spark, source.as_uri(), "UTF-8").select(
        "line_number",
        F.get(part, F.lit(0)).try_cast("int").alias("number"),
        F.get(part, F.lit(1)).cast("int").alias("key"),
        F.try_to_timestamp(F.get(part, F.lit(2))).cast("date").alias("day"),
        F.when(F.col("line").rlike(r"\A\d+"), F.get(part, F.lit(3)).cast("decimal(18,2)")).alias(
            "amount"
        ),
        F.array_compact(F.array(F.when(~F.col("decodable"), F.lit("no")))).alias("reasons"),
    )
    ranked = rows.withColumn(
        "rank", F.row_number().over(Window.partitionBy("key").orderBy("line_number"))
    ).persist()
    ranked.write.parquet(str(folder / "rows"))
    read = spark.read.schema(ranked.schema).parquet(str(folder / "rows"))
    names = read.select("key", F.col("day").alias("name")).distinct()
    totals = read.join(F.broadcast(names), "key", "left").groupBy("key")
    summed = totals.agg(F.count("*").alias("n"), F.sum("amount"), F.avg("number"), F.max("day"))
    summed.orderBy(F.desc("n"), "key").collect()
    words = read.select(F.explode(F.split(F.lower(F.lit("One two one")), " ")).alias("word"))
    words.groupBy("word").count().collect()
    quarantine = dataset("friends").quarantine
    lines = rows.select("line_number", F.lit("x").alias("line"), "reasons")
    measure(quarantine, conform_schema(quarantine, lines), 100)


if __name__ == "__main__":
    session = SparkSession.builder.getOrCreate()
    train(session, Path(sys.argv[1]))
    session.stop()
