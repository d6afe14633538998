"""Interactions: every message is counted, anonymous or quarantined, and an id stays what it was."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
from hypothesis import given
from pyspark.sql import DataFrame, SparkSession

from millpond.catalog.interactions import Keys
from millpond.catalog.settings import DEFAULT_KEYS
from millpond.spark.kafka import SCHEMA
from spark_apps.count_interactions import (
    count_anonymous,
    count_by_customer,
    judge_messages,
    quarantined,
    summarise,
)
from tests.spark.tables import as_dicts

KEYS = Keys.parse(DEFAULT_KEYS)
NAMED = {"nom": "Dupont", "prénom": "Zoé"}


def judged(spark: SparkSession, values: Sequence[bytes | None]) -> DataFrame:
    """The messages of partition 0, with offsets from 0, judged."""
    rows = [(0, offset, value) for offset, value in enumerate(values)]
    return judge_messages(spark.createDataFrame(rows, SCHEMA), KEYS).persist()


def as_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def customers(spark: SparkSession, values: Sequence[bytes | None]) -> dict[str, int]:
    rows = as_dicts(count_by_customer(judged(spark, values)))
    return {row["customer_id"]: row["interactions"] for row in rows}


IDS = [
    (b'{"idClient": 12}', "12"),
    (b'{"idClient": "12"}', '"12"'),
    (b'{"idClient": -9223372036854775808}', "-9223372036854775808"),
    (b'{"idClient": 9223372036854775807}', "9223372036854775807"),
    (b'{"idClient": "Zo\\u00e9"}', '"Zoé"'),  # one id, however it is escaped
    (as_json({"idClient": "x" * 128}), f'"{"x" * 128}"'),
    (as_json({"idClient": "😀" * 128}), f'"{"😀" * 128}"'),  # characters, not bytes
    (b'{"idClient": " "}', '" "'),  # opaque: a blank is an id
    (b'\n {"nom": 7, "idClient": 12, "canal": ["web"]}\n', "12"),  # the rest is not looked at
]


def test_an_id_is_kept_as_the_json_it_came_as(spark: SparkSession) -> None:
    assert customers(spark, [value for value, _ in IDS]) == Counter(id_ for _, id_ in IDS)


def test_without_an_id_the_strings_are_counted_as_they_were_sent(spark: SparkSession) -> None:
    sent = {"nom": " DUPONT ", "prénom": "Zoé", "date de naissance": "1980-02-30"}
    values = [as_json({**sent, **no_id}) for no_id in ({}, {"idClient": None}, {"idClient": ""})]
    assert as_dicts(count_anonymous(judged(spark, values))) == [
        {
            "last_name": " DUPONT ",
            "first_name": "Zoé",
            "birth_date": "1980-02-30",
            "birth_place": None,
            "interactions": 3,
        }
    ]


BAD: list[tuple[bytes | None, str]] = [
    (None, "no_value"),
    (b"", "not_json"),
    (b"not json", "not_json"),
    (b"[1]", "not_json"),
    (b'"text"', "not_json"),
    (b'{"idClient": 1', "not_json"),
    (b'{"idClient": 1, "idClient": 2}', "not_json"),
    # What follows the first value is not ignored, whatever it is.
    (b'{"idClient": 1} x', "not_json"),
    (b'{"idClient": 1}{"idClient": 2}', "not_json"),
    (b'{"idClient": 1},{"idClient": 2}', "not_json"),
    (b'{"idClient": 1}]', "not_json"),
    (b'{"idClient": 1}] x', "not_json"),
    (b'{"idClient": 1}}', "not_json"),
    (b'{"idClient": 1}]}', "not_json"),
    (b'{"idClient": "\xff"}', "undecodable"),
    (b'{"idClient": "\xed\xa0\x80"}', "undecodable"),  # half a character of UTF-16
    (as_json({"idClient": 1, "canal": "x" * 2**20}), "too_large"),
    (b'{"idClient": 1.5}', "bad_id"),
    (b'{"idClient": 1.0}', "bad_id"),
    (b'{"idClient": 1e2}', "bad_id"),
    (b'{"idClient": 9223372036854775808}', "bad_id"),
    (b'{"idClient": true}', "bad_id"),
    (b'{"idClient": {"id": 1}}', "bad_id"),
    (b'{"idClient": [1]}', "bad_id"),
    (as_json({"idClient": "x" * 129}), "bad_id"),
    (as_json({"nom": "Dupont"}), "missing:first_name"),
    (as_json({**NAMED, "nom": None}), "missing:last_name"),
    (as_json({**NAMED, "nom": "  "}), "missing:last_name"),
    (as_json({**NAMED, "nom": 7}), "not_a_string:last_name"),
    (as_json({**NAMED, "date de naissance": 19800101}), "not_a_string:birth_date"),
    (as_json({**NAMED, "lieu de naissance": ["Paris"]}), "not_a_string:birth_place"),
    (as_json({"id_client": 1}), "missing:last_name"),  # keys that nobody knows
]


def test_what_is_no_interaction_is_quarantined_with_its_reason(spark: SparkSession) -> None:
    good = as_json({"idClient": 1})
    of_both = judged(spark, [good, *(value for value, _ in BAD)])
    assert as_dicts(count_by_customer(of_both)) == [{"customer_id": "1", "interactions": 1}]
    found = {row["offset"]: row["reason"] for row in as_dicts(quarantined(of_both))}
    assert found == {n: reason for n, (_, reason) in enumerate(BAD, start=1)}


@given(sent=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 130)), min_size=1))
def test_an_offset_that_came_twice_is_one(spark: SparkSession, sent: list[tuple[int, int]]) -> None:
    far = 2**40 - 65  # a block of 64 offsets ends, and another begins
    rows = [(partition, far + offset, b'{"idClient": 1}') for partition, offset in sent]
    found = summarise(judge_messages(spark.createDataFrame(rows, SCHEMA), KEYS))
    for partition in {partition for partition, _ in sent}:
        offsets = [far + offset for of, offset in sent if of == partition]
        said = found[partition]
        assert (said.messages, said.offsets) == (len(offsets), len(set(offsets)))
        assert (said.first, said.last) == (min(offsets), max(offsets))


values = st.one_of(
    st.none(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=4),
    st.booleans(),
    st.lists(st.integers(), max_size=2),
)
messages = st.dictionaries(st.sampled_from([*vars(KEYS).values(), "canal"]), values, max_size=6)


def expected(message: dict[str, Any]) -> str:
    """The oracle: what a message is, by Python's own means."""
    id_ = message.get(KEYS.id)
    if type(id_) is int and -(2**63) <= id_ < 2**63:
        return "counted"
    if isinstance(id_, str) and 1 <= len(id_) <= 128:
        return "counted"
    if id_ not in (None, ""):
        return "quarantined"
    names = [message.get(KEYS.last_name), message.get(KEYS.first_name)]
    births = [message.get(KEYS.birth_date), message.get(KEYS.birth_place)]
    are_names = all(isinstance(name, str) and name.strip(" ") for name in names)
    are_births = all(birth is None or isinstance(birth, str) for birth in births)
    return "anonymous" if are_names and are_births else "quarantined"


def is_text(message: dict[str, Any]) -> bool:
    return all(not isinstance(v, str) or v.isprintable() for v in message.values())


@given(sent=st.lists(messages.filter(is_text), min_size=1, max_size=30))
def test_every_message_is_one_of_three(spark: SparkSession, sent: list[dict[str, Any]]) -> None:
    of_all = judged(spark, [as_json(message) for message in sent])
    found = summarise(of_all)[0]
    kinds = Counter(map(expected, sent))
    assert found.messages == found.offsets == len(sent)
    assert (found.counted, found.anonymous) == (kinds["counted"], kinds["anonymous"])
    assert (found.first, found.last) == (0, len(sent) - 1)
    assert quarantined(of_all).count() == kinds["quarantined"]
    ids = Counter(
        json.dumps(m[KEYS.id], ensure_ascii=False) for m in sent if expected(m) == "counted"
    )
    rows = as_dicts(count_by_customer(of_all))
    assert {row["customer_id"]: row["interactions"] for row in rows} == ids
