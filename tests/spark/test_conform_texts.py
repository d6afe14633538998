"""Which lines of a text fit, and what becomes of them?"""

import re
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given
from pyspark.sql import SparkSession

from millpond.catalog.datasets import TEXTS
from tests.spark.judged import few_files, judge

BOOK = "book.txt"


def test_lines_are_kept_as_they_are(spark: SparkSession, tmp_path: Path) -> None:
    lines = ["  indented", "ends in blanks \t", "", " \t ", "a,b|c\td", "«Où?» _said_ Zoë", ""]
    content = "".join(f"{line}\r\n" for line in lines).encode()
    assert judge(spark, tmp_path / BOOK, content, TEXTS) == (
        [(BOOK, number, line) for number, line in enumerate(lines, start=1)],
        {},
    )


def test_bytes_that_are_no_utf_8_are_the_one_reason(spark: SparkSession, tmp_path: Path) -> None:
    content = b"good\nb\xe4d\n\xed\xa0\x80\n\xc0\xaf\n\xef\xbf\xbd\n"
    clean, bad = judge(spark, tmp_path / BOOK, content, TEXTS)
    assert clean == [(BOOK, 1, "good"), (BOOK, 5, "\ufffd")]  # a character that somebody wrote
    assert bad == {2: ["undecodable"], 3: ["undecodable"], 4: ["undecodable"]}


def test_windows_1252_has_a_character_for_all_bytes_but_five(
    spark: SparkSession, tmp_path: Path
) -> None:
    each_byte = [bytes([byte]) for byte in range(256) if byte not in b"\r\n"]
    content = b"".join(b"a" + byte + b"z\n" for byte in each_byte)
    clean, bad = judge(spark, tmp_path / BOOK, content, TEXTS, "windows-1252")
    assert [each_byte[number - 1] for number in sorted(bad)] == [
        *(b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d")
    ]
    assert all(reasons == ["undecodable"] for reasons in bad.values())
    assert clean == [
        (BOOK, number, f"a{byte.decode('cp1252')}z")
        for number, byte in enumerate(each_byte, start=1)
        if number not in bad
    ]


def lines_of(content: bytes) -> list[bytes]:
    lines = re.split(rb"\r\n|\n|\r", content.removeprefix(b"\xef\xbb\xbf"))
    return lines if lines[-1] else lines[:-1]


def decoded(line: bytes, encoding: str) -> str | None:
    try:
        return line.decode(encoding)
    except UnicodeDecodeError:
        return None


pieces = (
    st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"])
    | st.text("aé— \t\x85\u2028\U0001f4a7", max_size=6).map(str.encode)
    | st.binary(max_size=2)
)


@few_files
@given(
    content=st.lists(pieces, min_size=20, max_size=60).map(b"".join),
    encoding=st.sampled_from(["UTF-8", "windows-1252"]),
)
def test_every_line_becomes_what_a_plain_reader_makes_of_it(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, content: bytes, encoding: str
) -> None:
    file = tmp_path_factory.mktemp("texts") / BOOK
    texts = dict(enumerate((decoded(line, encoding) for line in lines_of(content)), start=1))
    clean, bad = judge(spark, file, content, TEXTS, encoding)
    assert clean == [(BOOK, n, text) for n, text in texts.items() if text is not None]
    assert bad == {n: ["undecodable"] for n, text in texts.items() if text is None}
