"""How many friends do people of each age have on average? What counts, and what does not."""

import hypothesis.strategies as st
from hypothesis import given
from pyspark.sql import SparkSession

from millpond.catalog.analyses import FRIENDS_BY_AGE
from millpond.spark.checks import conform_schema, measure
from spark_apps.friends_by_age import average_by_age
from tests.spark.tables import frame

SCHEMA = "person_id int, age int, friends int"


def averages(spark: SparkSession, text: str) -> dict[int, tuple[int, float]]:
    rows = average_by_age(frame(spark, SCHEMA, text))
    return {row.age: (row.people, row.average_friends) for row in rows.collect()}


def test_everybody_of_an_age_counts_once(spark: SparkSession) -> None:
    averaged = averages(
        spark,
        """
        0 | 33 | 385
        1 | 33 |   2
        2 | 33 |   2  # as many as another has
        3 | 26 |   2  # another age
        4 |  0 |   7
        """,
    )
    assert averaged == {0: (1, 7 / 1), 26: (1, 2 / 1), 33: (3, (385 + 2 + 2) / 3)}


def test_people_without_friends_count_with_0(spark: SparkSession) -> None:
    averaged = averages(
        spark,
        """
        0 | 33 | 3
        1 | 33 | 0
        2 | 40 | 0
        """,
    )
    assert averaged == {33: (2, (3 + 0) / 2), 40: (1, 0.0)}


def test_sums_beyond_an_int_are_exact(spark: SparkSession) -> None:
    averaged = averages(
        spark,
        """
        0 | 33 | 2147483647
        1 | 33 | 2147483647
        2 | 33 | 2147483646
        """,
    )
    assert averaged == {33: (3, (2147483647 * 3 - 1) / 3)}


def test_nobody_has_no_average(spark: SparkSession) -> None:
    assert averages(spark, "") == {}


def test_the_result_has_the_marts_columns(spark: SparkSession) -> None:
    rows = average_by_age(frame(spark, SCHEMA, "0 | 33 | 385"))
    assert conform_schema(FRIENDS_BY_AGE.mart, rows).dtypes == [
        ("age", "int"),
        ("people", "bigint"),
        ("average_friends", "double"),
    ]


def test_somebody_lost_fails_a_check(spark: SparkSession) -> None:
    rows = average_by_age(frame(spark, SCHEMA, "0 | 33 | 385"))
    failed = [
        [check.name for check in measure(FRIENDS_BY_AGE.mart, rows, rows_in)[1] if not check.passed]
        for rows_in in (1, 2)
    ]
    assert failed == [[], ["people_lost"]]


people = st.lists(st.tuples(st.integers(20, 23), st.integers(0, 2**31 - 1)), max_size=40)


@given(people=people)
def test_it_agrees_with_a_plain_mean(spark: SparkSession, people: list[tuple[int, int]]) -> None:
    friends_by_age: dict[int, list[int]] = {}
    for age, friends in people:
        friends_by_age.setdefault(age, []).append(friends)
    rows = spark.createDataFrame([(n, *person) for n, person in enumerate(people)], SCHEMA)
    averaged = {
        row.age: (row.people, row.average_friends) for row in average_by_age(rows).collect()
    }
    assert averaged == {
        age: (len(numbers), sum(numbers) / len(numbers)) for age, numbers in friends_by_age.items()
    }
