"""Why a line of a source file, or a message, went into quarantine: the one list of codes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """A reason code; one that is about a column is written `<code>:<column>`."""

    code: str
    about_column: bool
    meaning: str


REASONS = (
    Reason(
        "field_count",
        about_column=False,
        meaning="the line does not have the number of fields the format has",
    ),
    Reason(
        "undecodable",
        about_column=False,
        meaning="the line's bytes are not text in the file's encoding",
    ),
    Reason(
        "not_an_integer", about_column=True, meaning="the field is not written as a whole number"
    ),
    Reason(
        "not_a_number", about_column=True, meaning="the field is not written as a decimal number"
    ),
    Reason(
        "out_of_range",
        about_column=True,
        meaning="the field is a number outside the range that has a meaning",
    ),
    Reason(
        "bad_date",
        about_column=True,
        meaning="the field is not a date of the calendar in the format's notation",
    ),
    Reason(
        "bad_money",
        about_column=True,
        meaning="the field is not an amount with at most 16 digits and 2 decimals",
    ),
    Reason("missing", about_column=True, meaning="the field is empty and must not be"),
    Reason(
        "duplicate_key",
        about_column=False,
        meaning="an earlier line of the file has the same key; the first one stays",
    ),
    Reason("no_value", about_column=False, meaning="the message has no value at all"),
    Reason("too_large", about_column=False, meaning="the message has more than 1 MiB"),
    Reason(
        "not_json",
        about_column=False,
        meaning="the message is not one JSON object, or names a key twice",
    ),
    Reason(
        "bad_id",
        about_column=False,
        meaning="the id is neither a whole number of 64 bits nor a string of 1 to 128 characters",
    ),
    Reason("not_a_string", about_column=True, meaning="the value is JSON, and not a string"),
)


def reason(code: str, column: str | None = None) -> str:
    """The code as it is written in a quarantine table.

    Raises:
        KeyError: `code` is not in REASONS, or a column is given to a code that has none (or
        missing).
    """
    known = {r.code: r for r in REASONS}[code]
    if known.about_column != (column is not None):
        raise KeyError(f"reason {code!r} is {'' if known.about_column else 'not '}about a column")
    return code if column is None else f"{code}:{column}"
