"""Millpond: batch analytics on HDFS, YARN, Spark and Airflow."""

__version__ = "0.1.0"
