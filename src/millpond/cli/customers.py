"""`millpond interactions`: whose the interactions are, and what their totals come to."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from millpond.catalog.interactions import ANONYMOUS
from millpond.cli.console import Format, amount, messages, settings
from millpond.cli.tables import ListFormat, print_rows
from millpond.errors import CheckFailedError
from millpond.interactions import apply, deadletters, waiting
from millpond.interactions import audit as auditing
from millpond.interactions import erase as erasing
from millpond.interactions.identities import customer_id
from millpond.interactions.ledger import Ledger
from millpond.interactions.opening import import_opening

Person = Annotated[str | None, typer.Argument(help="person: and 64 hex digits; shows the names")]
Id = Annotated[str | None, typer.Argument(help="the customer's id as JSON; decides, for good")]


class Retry(StrEnum):
    """What `dead-letters` may do."""

    RETRY = "retry"


def audit() -> None:
    """Compute all totals anew from the tables and the ledger; say the first difference."""
    found = auditing.audit(settings())
    if found.difference:
        raise CheckFailedError(f"{found.difference}; docs/how-to/audit-totals.md says what to do")
    hours, customers = amount(found.hours, "hour"), amount(found.customers, "customer")
    messages.print(f"{hours} and the totals of {customers} agree")


def dead_letters(
    retry: Annotated[Retry | None, typer.Argument(help="send them once more")] = None,
    format_: ListFormat = Format.TABLE,
) -> None:
    """List the totals that the customer service rejected, or have the next post send them again."""
    ledger = Ledger(settings().ledger_url)
    if retry:
        count = deadletters.retry_dead_letters(ledger)
        messages.print(f"{amount(count, 'total')} will be sent again by the next post")
    else:
        print_rows(deadletters.dead_letters(ledger), format_)


def resolve(person: Person = None, id_: Id = None, format_: ListFormat = Format.TABLE) -> None:
    """List the persons without a customer; show the names of one; decide which customer it is."""
    here = settings()
    ledger = Ledger(here.ledger_url)
    if person is None:
        print_rows(waiting.waiting(ledger), format_)
    elif id_ is None:
        print_rows(waiting.names(here, person), format_)
    else:
        changed = apply.decide(ledger, person, customer_id(id_))
        messages.print(f"decided; that changed {amount(changed, 'total')}")


def erase(
    who: Annotated[str, typer.Argument(help="a person (person:...) or a customer's id as JSON")],
) -> None:
    """Remove names and birth dates from HDFS, former versions included; say what is left."""
    here = settings()
    who = who if who.startswith("person:") else customer_id(who)
    found = erasing.erase(here, who)
    messages.print(
        f"erased {amount(found.rows, 'row')} of {amount(found.hours, 'hour')}, "
        f"of {amount(found.persons, 'person')}; "
        f"{ANONYMOUS.name} has no former version any more"
    )
    messages.print(
        f"not erased: messages of topic {here.interactions_topic} in Kafka until retention deletes "
        f"them, and whatever copies of its messages or of files below {here.root}/raw others keep; "
        "counting an hour anew brings its names back. Counts stay, under the customer's id or a "
        "keyed hash"
    )


def opening(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV file")],
) -> None:
    """Have totals begin with the balances of a file: customer_id,interactions."""
    count = import_opening(Ledger(settings().ledger_url), file)
    messages.print(f"taken: {amount(count, 'opening balance')}")
