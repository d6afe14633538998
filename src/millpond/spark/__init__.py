"""Spark: the only library code that imports pyspark."""
