"""Checks on rows before they are published: the schema, then the table's expectations."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from millpond.catalog.tables import Expectation, Table
from millpond.errors import CheckFailedError
from millpond.lake.receipts import Check


def conform_schema(table: Table, rows: DataFrame) -> DataFrame:
    """The rows with exactly the table's columns, in its order.

    Raises:
        CheckFailedError: Columns are missing, unknown or of another type; the sentence lists them
        all.
    """
    computed = dict(rows.dtypes)
    declared = {column.name: column.type for column in table.columns}
    faults = [f"{name} is missing" for name in declared if name not in computed]
    faults += [f"{name} is not declared" for name in computed if name not in declared]
    faults += [
        f"{name} is {computed[name]}, not {declared[name]}"
        for name in declared
        if name in computed and computed[name] != declared[name]
    ]
    if faults:
        raise CheckFailedError(
            f"the rows for {table.name} do not have its columns: {'; '.join(faults)}; "
            "make the application's last select and the catalogue agree"
        )
    return rows.select(*declared)


def measure(table: Table, rows: DataFrame, rows_in: int) -> tuple[int, tuple[Check, ...]]:
    """The number of rows and the result of every expectation, in one pass."""
    aggregates = [
        F.expr(e.aggregate.format(rows_in=rows_in)).cast("double").alias(e.name)
        for e in table.expectations
    ]
    figures = rows.agg(F.count("*").alias("rows"), *aggregates).head()
    assert figures is not None  # an aggregate without keys has one row
    at_least_one = Expectation("rows", "count(*)", minimum=0 if table.allow_empty else 1)
    checks = [judge(at_least_one, float(figures.rows))]
    checks += [judge(e, figures[e.name]) for e in table.expectations if figures.rows]
    return figures.rows, tuple(checks)


def stop_on_errors(table: Table, checks: tuple[Check, ...]) -> None:
    """Raise CheckFailedError, naming each failed check of severity `error` with its figure."""
    failed = [c for c in checks if not c.passed and c.severity == "error"]
    if failed:
        raise CheckFailedError(
            f"{table.name} was not published, its former rows stay: "
            f"{'; '.join(map(str, failed))}; look at the input's receipt and quarantine"
        )


def judge(expectation: Expectation, figure: float | None) -> Check:
    """An expectation held against its figure; a null figure fails."""
    low, high = expectation.minimum, expectation.maximum
    passed = (
        figure is not None and (low is None or figure >= low) and (high is None or figure <= high)
    )
    return Check(expectation.name, expectation.severity, passed, figure, low, high)
