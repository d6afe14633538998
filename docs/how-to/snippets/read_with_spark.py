import os

from pyspark.sql import SparkSession

delta = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}
spark = SparkSession.builder.master("local[2]").config(map=delta).getOrCreate()
histogram = os.environ["MILLPOND_HDFS_URL"] + "/millpond/marts/rating_histogram"
per_day = spark.sql(f"SELECT ds, sum(ratings) AS ratings FROM delta.`{histogram}` GROUP BY ds")
for row in per_day.orderBy("ds").collect():
    print(row.ds, row.ratings)
spark.stop()
