"""Which hour of interactions the demo shows."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.cli import demo
from millpond.cli.interactions import truth_file
from millpond.interactions.ranges import Sealed

EARLIER = Hour.parse("2026-11-22T07")


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return replace(Settings.from_env({}), home=tmp_path)


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How often messages were made up."""
    made: list[str] = []
    monkeypatch.setattr(demo, "produce", lambda: made.append("an hour"))
    return made


def sealed_up_to(monkeypatch: pytest.MonkeyPatch, hour: Hour | None) -> None:
    class Ledger:
        def __init__(self, _: str) -> None: ...

        def sealed(self, _: str) -> Sealed | None:
            return Sealed("id", hour, {0: 1}) if hour else None

    monkeypatch.setattr(demo, "Ledger", Ledger)


def last_hour() -> Hour:
    return Hour.of(datetime.now(UTC) - timedelta(hours=1))


@pytest.mark.parametrize("sealed", [None, EARLIER])
def test_the_last_hour_is_filled_while_it_is_not_sealed(
    here: Settings, filled: list[str], monkeypatch: pytest.MonkeyPatch, sealed: Hour | None
) -> None:
    sealed_up_to(monkeypatch, sealed)
    before = last_hour()
    assert demo._hour(here) in (before, last_hour())
    assert filled == ["an hour"]


def test_the_hour_that_was_filled_is_shown_again(here: Settings, filled: list[str]) -> None:
    hours: dict[str, object] = {str(EARLIER): {}, str(EARLIER.next): {}}
    truth_file(here).write_text(json.dumps({"hours": hours}))
    assert demo._hour(here) == EARLIER.next
    assert filled == []


def test_a_sealed_hour_takes_nothing_more(
    here: Settings, filled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = Hour.of(datetime.now(UTC))
    sealed_up_to(monkeypatch, now)
    assert demo._hour(here) == now
    assert filled == []
