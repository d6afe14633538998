"""What `millpond run` says at its end, from one look at each table's receipts."""

from dataclasses import replace
from datetime import date

import pytest

from millpond.catalog.analyses import POPULAR_MOVIES, RATING_HISTOGRAM
from millpond.catalog.settings import Settings
from millpond.catalog.tables import Table
from millpond.cli import runs
from millpond.lake.receipts import Check, Outcome, Receipt
from tests.receipts import RECEIPT

DAY = date(2026, 11, 22)
GATE = Check("rmse", "error", passed=False, figure=2.0, minimum=None, maximum=1.0)
FEW = Check("mean_rating", "warn", passed=False, figure=1.0, minimum=1.5, maximum=4.5)


def receipt(table: str, outcome: Outcome, rows: int, *checks: Check) -> Receipt:
    return replace(RECEIPT, table=table, outcome=outcome, rows={"out": rows}, checks=checks)


def test_each_mart_then_each_warning_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {
        "clean_ratings": receipt("clean_ratings", "published", 100, FEW),
        "rating_histogram": receipt("rating_histogram", "published", 1),
        "popular_movies": receipt("popular_movies", "refused", 0, GATE),
    }
    asked: list[str] = []

    def latest(_: Settings, table: Table, ds: date) -> Receipt | None:
        assert ds == DAY
        asked.append(table.name)
        return found.get(table.name)

    monkeypatch.setattr(runs, "_latest_receipt", latest)
    analyses = [RATING_HISTOGRAM, POPULAR_MOVIES]
    receipts = runs.latest_receipts(Settings.from_env({}), DAY, analyses)
    assert asked == ["clean_movies", "clean_ratings", "rating_histogram", "popular_movies"]
    runs._say_published(receipts, analyses)
    runs.say_warnings(receipts)
    mart, clean, refused = capsys.readouterr().err.splitlines()
    assert mart == "rating_histogram: 1 row; `millpond show rating_histogram --ds 2026-11-22`"
    assert clean == f"warning: clean_ratings 2026-11-22: {FEW}"
    assert refused == f"warning: popular_movies 2026-11-22 was refused, what it had stays: {GATE}"
