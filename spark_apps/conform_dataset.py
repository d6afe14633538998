"""Which lines of a source file fit the dataset's schema, and why do the others not?

Every line is either one clean row or one quarantined line with all its reasons, so lines read =
clean + quarantined. A line with the wrong number of fields, or with bytes that are no text, has
that one reason; otherwise each field is judged by itself: first its pattern, then its range. Of
lines with one key, the first that fits stays and the others are `duplicate_key`. Line numbers count
from 1.

The quarantine is published first and always; the clean rows only while the share of bad lines is at
most the dataset's limit, else the date keeps the clean rows it had. A file that has less than half
of the lines of the date before is published with a warning.
"""

import sys
from functools import partial

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from millpond.catalog.datasets import Dataset, Field, dataset
from millpond.catalog.reasons import reason
from millpond.errors import BadInputError
from millpond.lake.manifests import read_manifest
from millpond.lake.receipts import Check, Receipt, Source
from millpond.spark.job import Job, execute
from millpond.spark.lines import read_lines


def judge_lines(lines: DataFrame, of: Dataset) -> DataFrame:
    """Each line with its cast columns and its reasons, an array that is empty for a clean row."""
    parts = _parts(of)
    cut = lines.withColumn("field_count", F.size(parts)).withColumns(
        {_text(field): F.get(parts, F.lit(field.position)) for field in of.fields}
    )
    cast = cut.withColumns({field.column.name: _value(field) for field in of.fields})
    judged = cast.withColumn("reasons", _reasons(of))
    return judged if of.key is None else _judge_duplicates(judged, of.key)


def _parts(of: Dataset) -> Column:
    if of.separator is None:
        return F.array("line")
    blanks = F.lit(" \t")
    return F.transform(
        F.split(F.btrim("line", blanks), of.separator), lambda part: F.btrim(part, blanks)
    )


def _text(field: Field) -> str:
    return f"{field.column.name}_text"


def _matches(field: Field) -> Column:
    return F.col(_text(field)).rlike(rf"\A(?:{field.pattern})\z")


def _value(field: Field) -> Column:
    return F.when(_matches(field), F.expr(field.cast.format(text=f"`{_text(field)}`")))


def _reasons(of: Dataset) -> Column:
    wrong_count = F.lit(reason("field_count"))
    return (
        F.when(~F.col("decodable"), F.array(F.lit(reason("undecodable"))))
        .when(~F.col("field_count").isin(*of.field_counts), F.array(wrong_count))
        .otherwise(F.array_compact(F.array(*(_field_reason(field) for field in of.fields))))
    )


def _field_reason(field: Field) -> Column:
    name = field.column.name
    check = F.expr(field.check.format(text=f"`{_text(field)}`", value=f"`{name}`"))
    fits = F.coalesce(check, F.lit(False))
    return F.when(~_matches(field), F.lit(reason(field.reason, name))).when(
        ~fits, F.lit(reason(field.range_reason, name))
    )


def _judge_duplicates(judged: DataFrame, key: str) -> DataFrame:
    is_clean = F.size("reasons") == 0
    earlier = F.row_number().over(Window.partitionBy(key, is_clean).orderBy("line_number")) > 1
    return judged.withColumn(
        "reasons",
        F.when(is_clean & earlier, F.array(F.lit(reason("duplicate_key")))).otherwise(
            F.col("reasons")
        ),
    )


def clean_rows(judged: DataFrame, of: Dataset) -> DataFrame:
    """The rows that fit, with the clean table's columns."""
    return judged.where(F.size("reasons") == 0).select(*(c.name for c in of.clean.columns))


def quarantined_lines(judged: DataFrame) -> DataFrame:
    """The lines that do not fit: line_number, line, reasons."""
    return judged.where(F.size("reasons") > 0).select("line_number", "line", "reasons")


def stop_over_limit(of: Dataset, ds: object, lines: int, bad: int) -> None:
    """Raise BadInputError when the share of bad lines is over the dataset's limit."""
    if bad > of.bad_rows_limit * lines:
        raise BadInputError(
            f"{bad} of {lines} lines of {of.name} for {ds} do not fit ({bad / lines:.1%}, limit "
            f"{of.bad_rows_limit:.0%}); the clean rows stay as they were: "
            f"`millpond show {of.quarantine.name} --ds {ds}` lists the lines with their reasons"
        )


def compared_with(earlier: Receipt, lines: int) -> Check:
    """The number of lines as a share of those of the date before; less than half is a warning."""
    share = lines / earlier.rows["in"]
    return Check("share_of_earlier_lines", "warn", share >= 0.5, share, 0.5, None)


def main(job: Job, of: Dataset) -> None:
    """Read the date's source file, judge its lines, publish quarantine, then clean rows."""
    manifest = read_manifest(job.hdfs, job.run.root, of.name, job.run.ds)
    lines = read_lines(job.spark, job.hdfs_url + manifest.path, manifest.encoding)
    judged = judge_lines(lines, of).persist()
    with job.phase("compute"):
        total = judged.count()
    job.add_input(Source(path=manifest.path, sha256=manifest.sha256), rows=total)
    quarantined = job.publish(of.quarantine, quarantined_lines(judged)).rows["out"]
    stop_over_limit(of, job.run.ds, total, quarantined)
    earlier = job.earlier(of.clean)
    checks = [compared_with(earlier, total)] if earlier else []
    job.publish(of.clean, clean_rows(judged, of), checks=checks, quarantined=quarantined)


if __name__ == "__main__":
    _, name, *arguments = sys.argv[1:]  # --dataset NAME, then the run's arguments
    execute(dataset(name).clean, partial(main, of=dataset(name)), arguments)
