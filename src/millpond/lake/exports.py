"""Rows as files that any tool reads: CSV by RFC 4180, and the CSV exports on HDFS."""

import csv
import io
from typing import Any

import pyarrow as pa

from millpond.catalog import zones
from millpond.catalog.partitions import Partition
from millpond.lake.hdfs import Hdfs
from millpond.lake.tables import StoredTable


def to_csv(rows: pa.Table) -> str:
    """RFC 4180 with a header, LF line ends, nulls empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows.column_names)
    writer.writerows([cell(value) for value in row.values()] for row in rows.to_pylist())
    return text.getvalue()


def cell(value: Any) -> str:
    """A value as text: ISO dates, decimals with all their digits, list items joined by blanks."""
    if value is None:
        return ""
    if isinstance(value, list):
        return " ".join(value)
    return str(value)


def bring_up_to_date(hdfs: Hdfs, root: str, stored: StoredTable, partition: Partition) -> None:
    """Have the partition's CSV file hold the table's current rows, whole at any moment.

    A small file beside it has the number of the publication it is of: an application that died
    between its commit and its export leaves an older one, and the next call rewrites the file.
    """
    number = str(stored.number(partition)).encode()
    marker = zones.export_number(root, stored.table.name, partition)
    if hdfs.read(marker) == number:
        return
    content = to_csv(stored.read(partition)).encode()
    hdfs.replace(zones.export(root, stored.table.name, partition), content)
    hdfs.replace(marker, number)
