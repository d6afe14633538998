"""What a failed application says."""

import pytest

from millpond.spark.job import first_cause

JAVA = """An error occurred while calling o1.save.
: org.apache.spark.SparkException: Job aborted.
\tat org.apache.spark.sql.Writer.write(Writer.scala:1)
Caused by: java.io.IOException: could not write
\tat org.apache.hadoop.Client.call(Client.java:1)
Caused by: org.apache.hadoop.hdfs.protocol.DSQuotaExceededException: the quota is full
\t... 3 more
"""


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (
            RuntimeError(JAVA),
            "org.apache.hadoop.hdfs.protocol.DSQuotaExceededException: the quota is full",
        ),
        (ValueError("first line\nsecond line"), "first line"),
        (KeyError(), "KeyError()"),
    ],
)
def test_the_innermost_cause_is_what_a_person_reads(error: Exception, cause: str) -> None:
    assert first_cause(error) == cause
