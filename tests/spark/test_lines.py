"""A text file as numbered lines, whatever its line ends, encoding and number of splits."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given
from pyspark.sql import SparkSession

from millpond.spark.lines import read_lines


@pytest.fixture
def tiny_splits(spark: SparkSession) -> Iterator[None]:
    # A partition every few bytes: numbering across splits is where it can go wrong.
    spark.conf.set("spark.sql.files.maxPartitionBytes", "7")
    spark.conf.set("spark.sql.files.openCostInBytes", "1")
    yield
    spark.conf.unset("spark.sql.files.maxPartitionBytes")
    spark.conf.unset("spark.sql.files.openCostInBytes")


def lines_of(spark: SparkSession, file: Path, content: bytes, encoding: str = "UTF-8") -> list[str]:
    file.write_bytes(content)
    rows = read_lines(spark, file.as_uri(), encoding).orderBy("line_number").collect()
    assert [row.line_number for row in rows] == list(range(1, len(rows) + 1))
    return [row.line for row in rows]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a\nb\n", ["a", "b"]),
        (b"a\nb", ["a", "b"]),  # no last newline
        (b"a\r\nb\r\n", ["a", "b"]),
        (b"a\rb\r", ["a", "b"]),  # lone CR
        (b"a\rb\nc\r\nd", ["a", "b", "c", "d"]),  # all at once
        (b"a\n\nb\n", ["a", "", "b"]),  # an empty line has a number
        ("\ufeffa\nb\n".encode(), ["a", "b"]),  # a byte-order mark
        ("é\n日本\n".encode(), ["é", "日本"]),
        (b"", []),
    ],
)
def test_lines_end_where_files_of_the_world_end_them(
    spark: SparkSession, tmp_path: Path, content: bytes, expected: list[str]
) -> None:
    assert lines_of(spark, tmp_path / "file.txt", content) == expected


def test_iso_8859_1_is_decoded(spark: SparkSession, tmp_path: Path) -> None:
    content = "Amélie|Señor\n".encode("iso-8859-1")
    assert lines_of(spark, tmp_path / "file.txt", content, "ISO-8859-1") == ["Amélie|Señor"]


def test_bytes_that_are_no_text_are_marked_and_shown(spark: SparkSession, tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    file.write_bytes(b"good\nb\xffd\n")
    rows = read_lines(spark, file.as_uri(), "UTF-8").orderBy("line_number").collect()
    assert [(row.line, row.decodable) for row in rows] == [("good", True), ("b\ufffdd", False)]


@pytest.mark.usefixtures("tiny_splits")
def test_numbers_follow_the_file_across_many_splits(spark: SparkSession, tmp_path: Path) -> None:
    # Hundreds of partitions, whose counts come back in any order.
    lines = [str(number) for number in range(1, 501)]
    content = "".join(f"{line}\n" for line in lines).encode()
    assert lines_of(spark, tmp_path / "file.txt", content) == lines


@pytest.mark.usefixtures("tiny_splits")
@given(
    lines=st.lists(st.text("ab1\t é", max_size=12), max_size=20),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_numbers_follow_the_file_across_splits(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: str
) -> None:
    file = tmp_path_factory.mktemp("lines") / "file.txt"
    content = "".join(line + end for line in lines).encode()
    assert lines_of(spark, file, content) == lines
