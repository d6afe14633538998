"""Who is one person, and what an id is."""

import json
import stat
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.errors import MillpondError
from millpond.interactions.identities import (
    PersonKeys,
    birth_date,
    customer_id,
    normalise,
    person_keys,
    tidy,
)

KEYS = PersonKeys(b"secret")


@given(st.text())
def test_normalising_is_done_once(name: str) -> None:
    assert normalise(normalise(name)) == normalise(name)


@given(
    st.text(),
    st.sampled_from(["NFC", "NFD"]),
    st.sampled_from([str.upper, str.lower, str.casefold, str.title]),
    st.text(alphabet=" \t\n\u00a0", max_size=3),
)
def test_form_case_and_blanks_around_make_no_other_name(
    name: str, form: str, case: Callable[[str], str], blanks: str
) -> None:
    other = unicodedata.normalize(form, f"{blanks}{name}{blanks}")  # type: ignore[arg-type]
    assert normalise(other) == normalise(name)
    if case(name).casefold() == name.casefold():  # else the letter has no such case and back
        assert normalise(case(other)) == normalise(name)


def test_a_name_is_asked_for_as_it_was_written_but_for_blanks_and_form() -> None:
    assert tidy(" Zoe\u0301\t") == "Zo\u00e9"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Zoé", "Zoe"),  # an accent is a letter
        ("Jean-Luc", "Jean Luc"),
        ("Jean  Luc", "Jean Luc"),  # blanks within a name stay
    ],
)
def test_names_that_are_two(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize(
    ("sent", "day"),
    [
        ("1981-02-03", "1981-02-03"),
        (" 1981-02-03 ", "1981-02-03"),
        ("19810203", "1981-02-03"),  # ISO's other way to write that day
        ("03/02/1981", None),
        ("1981-02-30", None),
        ("1981", None),
        ("", None),
        (None, None),
    ],
)
def test_a_birth_date_is_an_iso_date_or_none(sent: str | None, day: str | None) -> None:
    assert birth_date(sent) == day


def test_a_person_is_names_and_birth_date() -> None:
    born = KEYS.person("Lefèvre", "Zoé", "1981-02-03")
    assert born == KEYS.person(" LEFÈVRE", "ZOÉ ", "1981-02-03")
    later = KEYS.person("Lefèvre", "Zoé", "1981-02-04")
    unknown = KEYS.person("Lefèvre", "Zoé", "the third of May")
    assert len({born.identity, later.identity, unknown.identity}) == 3
    assert born.name_key == later.name_key == unknown.name_key
    assert [person.has_birth for person in (born, later, unknown)] == [True, True, False]
    assert KEYS.person("Zoé", "Lefèvre", "1981-02-03").name_key != born.name_key


@given(st.lists(st.text(alphabet='ab",[] ', min_size=1), min_size=4, max_size=4))
def test_no_two_names_have_one_hash(names: list[str]) -> None:
    one, other = names[:2], names[2:]
    same = [normalise(name) for name in one] == [normalise(name) for name in other]
    assert (KEYS.person(one[0], one[1], None) == KEYS.person(other[0], other[1], None)) == same


def test_another_key_makes_other_hashes() -> None:
    person = ("Lefèvre", "Zoé", None)
    assert KEYS.person(*person).identity != PersonKeys(b"other").person(*person).identity


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "key"
    made = person_keys(file, lambda: False)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    again = person_keys(file, lambda: True)
    assert again.person("a", "b", None) == made.person("a", "b", None)


def test_a_key_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(MillpondError, match="is gone, and the ledger has persons by it; restore"):
        person_keys(tmp_path / "key", lambda: True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "00" * 31, "0" * 63 + "g"])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "key"
    file.touch(0o600)
    file.write_text(text)
    with pytest.raises(MillpondError, match="is no key of persons, which has 64 hex digits; re"):
        person_keys(file, lambda: True)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    person_keys(file := tmp_path / "key", lambda: False)
    file.chmod(0o640)
    with pytest.raises(MillpondError, match="others can read .*; `chmod 600"):
        person_keys(file, lambda: True)


@pytest.mark.parametrize(
    ("given_", "id_"),
    [
        ("12", "12"),
        (' "12" ', '"12"'),
        (str(-(2**63)), str(-(2**63))),
        (json.dumps("Zoé\\u001f\x1f"), '"Zoé\\\\u001f\\u001F"'),
        (json.dumps("x" * 128), f'"{"x" * 128}"'),
    ],
)
def test_an_id_is_the_json_of_the_tables(given_: str, id_: str) -> None:
    assert customer_id(given_) == id_


@pytest.mark.parametrize(
    "given_",
    ["c-12", '""', "1.0", "true", "null", "[12]", str(2**63), f'"{"x" * 129}"', '"\\ud800"', ""],
)
def test_what_is_no_id_is_refused(given_: str) -> None:
    with pytest.raises(MillpondError, match="is no customer's id; give a whole number such as 12"):
        customer_id(given_)
