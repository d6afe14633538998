"""How often does each word occur? What is a word, and what is not."""

import unicodedata
from collections import Counter
from collections.abc import Iterator

import hypothesis.strategies as st
import pytest
from hypothesis import given
from pyspark.sql import SparkSession

from millpond.catalog.analyses import WORD_COUNTS
from millpond.spark.checks import conform_schema
from spark_apps.word_counts import count_words

SCHEMA = "document string, line_number bigint, line string"


def counts(spark: SparkSession, *lines: str) -> dict[str, int]:
    numbered = [("book.txt", number, line) for number, line in enumerate(lines, start=1)]
    rows = count_words(spark.createDataFrame(numbered, SCHEMA))
    return {row.word: row.occurrences for row in rows.collect()}


def test_every_occurrence_counts_whatever_its_case(spark: SparkSession) -> None:
    counted = counts(spark, "The mill. THE MILL!", "  the pond,", "", " \t ")
    assert counted == {"the": 1 + 1 + 1, "mill": 2, "pond": 1}


def test_words_are_runs_of_letters_digits_and_underscores(spark: SparkSession) -> None:
    counted = counts(spark, "Don't sluice-keeper _said_ in 1800 x2", "3.14 a—b c…d\u00ade\u00a0f/g")
    assert counted == dict.fromkeys(
        ["don", "t", "sluice", "keeper", "_said_", "in", "1800", "x2"], 1
    ) | dict.fromkeys(["3", "14", "a", "b", "c", "d", "e", "f", "g"], 1)


def test_letters_and_digits_are_those_of_any_script(spark: SparkSession) -> None:
    # \w alone would know none of these.
    counted = counts(spark, "Œuvre Zoë ÀÉ", "ДА да 日本 ٣٧ Ⅷ ½ x² 𐐀𐐨")
    assert counted == Counter(
        ["œuvre", "zoë", "àé", "да", "да", "日本", "٣٧", "ⅷ", "½", "x²", "𐐨𐐨"]
    )


def test_a_combining_accent_is_no_letter(spark: SparkSession) -> None:
    composed, in_two = unicodedata.normalize("NFC", "café x"), unicodedata.normalize("NFD", "été")
    assert counts(spark, composed, in_two) == {"café": 1, "x": 1, "e": 1, "te": 1}


def test_lower_case_is_that_of_unicode(spark: SparkSession) -> None:
    counted = counts(spark, "ẞ ß ss", "ΟΔΟΣ", "İN \u0131N IN", "ǅ")
    assert counted == {
        "ß": 1 + 1,  # ẞ is not two letters
        "ss": 1,
        "οδος": 1,  # with the sigma of a word's end
        "i": 1,  # the dot of İ becomes a combining one, which divides
        "n": 1,
        "\u0131n": 1,
        "in": 1,
        "ǆ": 1,
    }


def test_a_line_end_divides_a_word(spark: SparkSession) -> None:
    assert counts(spark, "mill-", "pond", "mill", "pond") == {"mill": 2, "pond": 2}


@pytest.fixture
def turkish_machine(spark: SparkSession) -> Iterator[None]:
    assert spark._jvm is not None
    locale = spark._jvm.java.util.Locale
    before = locale.getDefault()
    locale.setDefault(locale.forLanguageTag("tr-TR"))
    yield
    locale.setDefault(before)


@pytest.mark.usefixtures("turkish_machine")
def test_lower_case_is_not_that_of_the_machine(spark: SparkSession) -> None:
    # In Turkish, I is the upper case of a letter without a dot.
    assert counts(spark, "IN", "IN É") == {"in": 2, "é": 1}


def test_nothing_has_no_words(spark: SparkSession) -> None:
    assert counts(spark) == {}


def test_the_result_has_the_marts_columns(spark: SparkSession) -> None:
    rows = count_words(spark.createDataFrame([("book.txt", 1, "mill")], SCHEMA))
    assert conform_schema(WORD_COUNTS.mart, rows).dtypes == [
        ("word", "string"),
        ("occurrences", "bigint"),
    ]


def words_of(line: str) -> list[str]:
    """The oracle: what lies between characters that are neither letters, digits nor underscores."""
    return "".join(
        char if char == "_" or unicodedata.category(char)[0] in "LN" else " "
        for char in line.lower()
    ).split(" ")


# Characters that every version of Unicode in use knows: Java's and Python's are not the same.
ALPHABET = (
    "abIiSsZ09_ \t.,-'\u2019\u2014\u00ad\u00a0"  # punctuation, a soft hyphen, a hard blank
    "éÉüßẞœŒñİ\u0131ǅﬁªµ"  # letters with and without another case
    "ΑΣσςДд日ʼא\u0301\u0307\u0345"  # other scripts, combining marks
    "²½Ⅷⅷ٣५〇𝟗𐐀𐐨😀"  # digits of several kinds, characters of four bytes
)


@given(lines=st.lists(st.text(ALPHABET, min_size=3, max_size=20), max_size=60))
def test_it_agrees_with_a_plain_count(spark: SparkSession, lines: list[str]) -> None:
    assert counts(spark, *lines) == Counter(
        word for line in lines for word in words_of(line) if word
    )
