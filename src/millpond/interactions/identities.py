"""Who a message is from: a customer by the id, or a person by names and birth date.

Two persons are one if their names are equal after normalising, and their birth dates too, of which
anything but an ISO date is none. The birth place never tells persons apart. A person is known by a
keyed hash: without the key it says nothing, and with the key alone it cannot be turned back.
"""

import hmac
import json
import os
import re
import secrets
import unicodedata
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from millpond.catalog.interactions import LONGEST_ID
from millpond.errors import MillpondError

KEY_BYTES = 32


def tidy(name: str) -> str:
    """A name as it is asked for: NFC, without blanks around it."""
    return unicodedata.normalize("NFC", name).strip()


def normalise(name: str) -> str:
    """A name as it is compared: tidy, and without case (`STRASSE` is `straße`)."""
    # Decomposed first: case folding may change the order of combining marks (Unicode, D145).
    return tidy(unicodedata.normalize("NFD", name).casefold())


def birth_date(text: str | None) -> str | None:
    """The day that an ISO date names, as YYYY-MM-DD; None for anything else."""
    try:
        return date.fromisoformat((text or "").strip()).isoformat()
    except ValueError:
        return None


@dataclass(frozen=True, order=True)
class Person:
    """A person as the ledger knows one: two hashes, and whether a birth date is part of the first.

    Persons of one `name_key` have the same names.
    """

    identity: str
    name_key: str
    has_birth: bool


class PersonKeys:
    """The hashes of persons under a secret key."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @property
    def fingerprint(self) -> str:
        """What tells the key from any other one, and does not tell the key."""
        return self._hash("fingerprint")

    def person(self, last_name: str, first_name: str, born: str | None) -> Person:
        """The person of these strings, as they were sent."""
        names = (normalise(first_name), normalise(last_name))
        day = birth_date(born)
        identity = f"person:{self._hash('person', *names, day)}"
        return Person(identity, self._hash("names", *names), day is not None)

    def of_row(self, row: Mapping[str, Any]) -> Person:
        """The person of a row of `interactions_anonymous`."""
        return self.person(row["last_name"], row["first_name"], row["birth_date"])

    def _hash(self, *parts: str | None) -> str:
        # JSON, so that no two lists of parts are one text.
        return hmac.digest(self._secret, json.dumps(parts).encode(), "sha256").hex()


def person_keys(file: Path, is_needed: Callable[[], bool]) -> PersonKeys:
    """The hashes under the key in `file`, which is made if it is not there.

    Raises:
        MillpondError: It is not there and `is_needed`, others can read it, or it holds no key.
    """
    if not file.exists():
        if is_needed():
            raise MillpondError(
                f"the key of persons {file} is gone, and the ledger has persons by it; restore it, "
                "or name it by MILLPOND_INTERACTIONS_PERSON_KEY: under another one they would all "
                "be counted as others"
            )
        _make_key(file)
    if file.stat().st_mode & 0o077:
        raise MillpondError(f"others can read {file}; `chmod 600 {file}`")
    text = file.read_text().strip()
    if len(text) != 2 * KEY_BYTES or set(text) - set("0123456789abcdef"):
        raise MillpondError(
            f"{file} is no key of persons, which has {2 * KEY_BYTES} hex digits; restore the one "
            "that was there"
        )
    return PersonKeys(bytes.fromhex(text))


def _make_key(file: Path) -> None:
    """A new key, whole or not at all; of two at once, the first stays."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    new.touch(mode=0o600)
    new.write_text(f"{secrets.token_hex(KEY_BYTES)}\n")
    try:
        os.link(new, file)
    except FileExistsError:
        pass
    finally:
        new.unlink()


def customer_id(text: str) -> str:
    """An id's JSON as the tables have it.

    Raises:
        MillpondError: It is neither a whole number of 64 bits nor a string of 1 to 128 characters.
    """
    try:
        value = json.loads(text)
        str(value).encode()  # half a surrogate pair is no text
    except ValueError:
        value = None
    is_number = type(value) is int and -(2**63) <= value < 2**63
    if not is_number and not (isinstance(value, str) and 1 <= len(value) <= LONGEST_ID):
        raise MillpondError(
            f"{text[:200]} is no customer's id; give a whole number such as 12, or a string in its "
            f"""quotes such as '"c-12"', of 1 to {LONGEST_ID} characters"""
        )
    # Spark writes the digits of an escape as capitals.
    escapes = r"\\\\|\\u00.."
    written = json.dumps(value, ensure_ascii=False)
    return re.sub(escapes, lambda found: f"{found[0][:2]}{found[0][2:].upper()}", written)
