"""Source files into the raw zone, byte for byte; no Airflow, no Spark."""
