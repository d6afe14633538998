"""The lowest temperatures as of a day: python read_exact_values.py DATE."""

import os
import sys

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

stored = DeltaTable(os.environ["MILLPOND_HDFS_URL"] + "/millpond/marts/min_temperatures")
of_the_day = f"SELECT * FROM minima WHERE ds = DATE '{sys.argv[1]}' ORDER BY station"
found = QueryBuilder().register("minima", stored).execute(of_the_day).read_all()
for row in pa.table(found).to_pylist():
    celsius, day = row["min_celsius"], row["observed_on"]  # a Decimal and a date
    print(row["station"], celsius, celsius * 9 / 5 + 32, f"{day:%d %B %Y}")
