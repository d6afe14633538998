"""The ledger and the key by which it has its persons."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from millpond.catalog.settings import Settings
from millpond.errors import MillpondError
from millpond.interactions.apply import apply
from millpond.interactions.counted import keys_of
from millpond.interactions.ledger import Ledger
from millpond.interactions.schema import PERSON_KEY
from tests.ledger.world import EARLY, ONE, counted


@pytest.fixture
def settings(ledger: Ledger, ledger_url: str, tmp_path: Path) -> Settings:
    return Settings.from_env({"MILLPOND_LEDGER_URL": ledger_url, "MILLPOND_HOME": str(tmp_path)})


def replace_key(settings: Settings) -> None:
    settings.interactions_person_key.write_text("0" * 64)


def test_another_key_than_that_of_the_ledgers_persons_is_refused(
    settings: Settings, ledger: Ledger
) -> None:
    right = keys_of(settings)
    text = settings.interactions_person_key.read_text()
    apply(ledger, counted(ONE, {}, {EARLY: 1}))
    replace_key(settings)
    for _ in range(2):
        with pytest.raises(MillpondError, match="is not the one by which the ledger has its pers"):
            keys_of(settings)
    settings.interactions_person_key.write_text(text)
    assert keys_of(settings).fingerprint == right.fingerprint


def test_as_long_as_nobody_is_known_by_it_a_key_may_be_replaced(
    settings: Settings, ledger: Ledger
) -> None:
    apply(ledger, counted(ONE, {"1": 1}))
    first = keys_of(settings)
    replace_key(settings)
    assert keys_of(settings).fingerprint != first.fingerprint


def test_a_ledger_from_before_fingerprints_keeps_its_persons(
    settings: Settings, ledger: Ledger
) -> None:
    keys_of(settings)
    apply(ledger, counted(ONE, {}, {EARLY: 1}))
    with ledger.transaction() as database:
        PERSON_KEY.drop(database)
    ledger.create()
    keys_of(settings)
    replace_key(settings)
    with pytest.raises(MillpondError, match="is not the one by which the ledger has its persons"):
        keys_of(settings)


def test_the_ledger_does_not_tell_the_key(settings: Settings, ledger: Ledger) -> None:
    keys_of(settings)
    with ledger.transaction() as database:
        [fingerprint] = database.scalars(sa.select(PERSON_KEY.c.fingerprint))
    assert fingerprint != settings.interactions_person_key.read_text().strip()
