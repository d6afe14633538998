"""Opening balances: what customers had before the first hour that is counted."""

import csv
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from millpond.errors import BadInputError, MillpondError
from millpond.interactions.apply import changing_totals
from millpond.interactions.identities import customer_id
from millpond.interactions.ledger import Ledger
from millpond.interactions.schema import APPLIED_HOUR, CUSTOMER

HEADER = ["customer_id", "interactions"]


def import_opening(ledger: Ledger, file: Path) -> int:
    """Have the customers of a CSV file begin with its balances, and no others; how many they are.

    Raises:
        BadInputError: The file is not what it must be; nothing was changed.
        MillpondError: An hour is applied already: totals that were posted would change behind it.
    """
    balances = read_opening(file)
    with changing_totals(ledger) as database:
        if database.scalar(sa.select(sa.exists().select_from(APPLIED_HOUR))):
            raise MillpondError(
                "opening balances come before the first hour that is applied, and hours are "
                "applied already; begin a new ledger, named by MILLPOND_LEDGER_URL"
            )
        database.execute(sa.update(CUSTOMER).values(opening=0, total=0))
        rows = [{"customer_id": id_, "n": n} for id_, n in sorted(balances.items())]
        if rows:
            database.execute(OPEN, rows)
    return len(balances)


# Version 0: what the service has is not changed by it, so nothing is to be posted.
_NEW = postgresql.insert(CUSTOMER).values(
    customer_id=sa.bindparam("customer_id"),
    opening=sa.bindparam("n"),
    total=sa.bindparam("n"),
    version=0,
)
OPEN = _NEW.on_conflict_do_update(
    index_elements=["customer_id"],
    set_={"opening": _NEW.excluded.opening, "total": _NEW.excluded.total},
)


def read_opening(file: Path) -> dict[str, int]:
    """The balances of a file, by the id's JSON.

    Raises:
        BadInputError: It cannot be read; the sentence names the first line that is wrong.
    """
    balances: dict[str, int] = {}
    for number, (text, balance) in _lines(file):
        try:
            id_ = customer_id(text)
        except MillpondError as error:
            raise BadInputError(f"line {number} of {file}: {error}") from None
        if not balance.isdecimal() or not balance.isascii() or int(balance) >= 2**63:
            raise BadInputError(
                f"line {number} of {file} has {balance!r} interactions; give a whole number"
            )
        if id_ in balances:
            raise BadInputError(f"line {number} of {file} has {id_} a second time; leave one out")
        balances[id_] = int(balance)
    return balances


def _lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines after the header, numbered, each with two fields."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as text:
            rows = csv.reader(text, strict=True)
            if next(rows, None) != HEADER:
                raise BadInputError(
                    f"{file} does not begin with {','.join(HEADER)}; give it that first line"
                )
            for fields in rows:
                if len(fields) != len(HEADER):
                    raise BadInputError(
                        f"line {rows.line_num} of {file} has {len(fields)} fields and not 2; an id "
                        'that is a string keeps its quotes, as in """c-12""",34'
                    )
                yield rows.line_num, fields
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"{file} is no CSV in UTF-8: {error}; save it as such") from None
