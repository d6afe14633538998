"""Tables written as text: a header, a rule, one line per row, so that a case reads as what it
is."""

from typing import Any

from pyspark.sql import DataFrame, SparkSession

NULL = "-"


def frame(spark: SparkSession, schema: str, text: str) -> DataFrame:
    """A DataFrame of that SQL schema; cells are cast from their text, `-` is null, `#` ends a
    line."""
    rows = [[None if cell == NULL else cell for cell in cells] for cells in _cells(text)]
    names = [part.split()[0] for part in schema.split(", ")]
    as_text = spark.createDataFrame(rows, ", ".join(f"{name} string" for name in names))
    types = [part.split()[1] for part in schema.split(", ")]
    return as_text.selectExpr(
        *(f"CAST({name} AS {type_}) AS {name}" for name, type_ in zip(names, types, strict=True))
    )


def _cells(text: str) -> list[list[str]]:
    lines = (line.partition("#")[0].strip() for line in text.strip().splitlines())
    return [[cell.strip() for cell in line.split("|")] for line in lines if line]


def as_dicts(rows: DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries, in a stable order."""
    return sorted((row.asDict() for row in rows.collect()), key=str)
