"""Rows as files that any tool reads: CSV by RFC 4180, and the CSV exports on HDFS."""

import csv
import io
from datetime import date
from typing import Any

import pyarrow as pa

from millpond.catalog import zones
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


def write_export(hdfs: Hdfs, root: str, stored: StoredTable, ds: date, version: int) -> None:
    """Make the date's CSV file that of a table version, whole at any moment."""
    rows = stored.read(ds, version)
    hdfs.replace(zones.export(root, stored.table.name, ds), to_csv(rows).encode())
