"""What was a mart computed from on a day? python read_as_of_one_moment.py MART DATE."""

import json
import os
import sys

from deltalake import DeltaTable, QueryBuilder
from hdfs_native import Client

HDFS = os.environ["MILLPOND_HDFS_URL"]


def rows_of(table: DeltaTable, ds: str) -> int:
    query = f"SELECT * FROM stored WHERE ds = DATE '{ds}'"
    found = QueryBuilder().register("stored", table).execute(query).read_all()
    return int(found.num_rows)


if __name__ == "__main__":
    name, ds = sys.argv[1:]
    mart = DeltaTable(f"{HDFS}/millpond/marts/{name}")
    number = mart.transaction_version(f"{name}/{ds}")
    with Client(HDFS).read(f"/millpond/receipts/{name}/ds={ds}/{number}.json") as file:
        receipt = json.loads(file.read())
    print(name, "number", number, "rows", rows_of(mart, ds))
    for source in receipt["inputs"]:
        table = DeltaTable(HDFS + source["path"], version=source["version"])
        print(source["path"], "version", source["version"], "rows", rows_of(table, ds))
