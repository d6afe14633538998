import os

import duckdb
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder

stored = DeltaTable(os.environ["MILLPOND_HDFS_URL"] + "/millpond/marts/rating_histogram")
query = QueryBuilder().register("stored", stored).execute("SELECT * FROM stored")
histogram = pa.table(query.read_all())
per_day = "SELECT ds, sum(ratings) AS ratings FROM histogram GROUP BY ds ORDER BY ds"
for ds, ratings in duckdb.execute(per_day).fetchall():
    print(ds, ratings)
