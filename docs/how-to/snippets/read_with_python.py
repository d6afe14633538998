import os

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

stored = DeltaTable(os.environ["MILLPOND_HDFS_URL"] + "/millpond/marts/rating_histogram")
latest = """
SELECT ds, rating, ratings FROM histogram
WHERE ds = (SELECT max(ds) FROM histogram) ORDER BY rating
"""
found = QueryBuilder().register("histogram", stored).execute(latest).read_all()
for row in pa.table(found).to_pylist():
    print(row["ds"], row["rating"], row["ratings"])
