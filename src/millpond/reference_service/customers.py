"""The customers that the service knows: most of the people in made-up interactions."""

import json
import unicodedata

from millpond.interactions.produce import FIRST_NAMES, LAST_NAMES

Name = tuple[str, str]


def known_customers() -> dict[Name, int | str]:
    """Ids by normalised first and last name; every fifth of the people is nobody's customer."""
    people = [(first, last) for last in LAST_NAMES for first in FIRST_NAMES]
    return {
        normalised(*name): f"s-{n}" if n % 3 == 0 else 2000 + n
        for n, name in enumerate(people)
        if n % 5 != 4
    }


def normalised(first_name: str, last_name: str) -> Name:
    """A name whatever its case, its accents' encoding and the blanks around it."""
    first, last = (
        unicodedata.normalize("NFC", name).strip().casefold() for name in (first_name, last_name)
    )
    return first, last


def json_text(id_: int | str) -> str:
    """An id as JSON: `12` and `"12"` are two."""
    return json.dumps(id_, ensure_ascii=False)
