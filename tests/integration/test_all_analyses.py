"""The whole daily run on the bundled data, compared with plain Python to the last digit."""

import json
from collections.abc import Iterator
from datetime import date
from itertools import groupby
from typing import Any

import pytest

from benchmarks.sample_data import FILES
from millpond.catalog import zones
from millpond.catalog.analyses import ANALYSES
from tests.bundled import BUNDLED, FORMATS, lines
from tests.integration.local_platform import Platform
from tests.oracles import ORACLES, Rows, latest_ratings, rating_histogram, titles


@pytest.fixture(scope="module")
def ds(platform: Platform, days: Iterator[date]) -> date:
    """A date whose source files are the bundled ones, run whole through Airflow."""
    day = next(days)
    for name in FILES:
        dataset, _, file = name.partition("/")
        folder = platform.data / dataset / f"ds={day}"
        folder.mkdir(parents=True)
        (folder / file).write_bytes((BUNDLED / name).read_bytes())
    settings = ("--set", "als_rank=8", "--set", "iterations=6")
    done = platform.millpond("run", "--ds", str(day), *settings, timeout=1200)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    return day


def shown(platform: Platform, table: str, ds: date, *options: str) -> str:
    answered = platform.millpond("show", table, "--ds", str(ds), "--limit", "all", *options)
    assert answered.returncode == 0, answered.stderr
    return answered.stdout


def rows_of(platform: Platform, table: str, ds: date) -> Rows:
    """What a table has for the date, in its order, without `ds`."""
    rows: Rows = json.loads(shown(platform, table, ds, "--format", "json"))
    assert {row.pop("ds") for row in rows} <= {str(ds)}
    return rows


@pytest.mark.parametrize("oracle", ORACLES, ids=lambda oracle: oracle.__name__)
def test_the_mart_is_what_plain_python_computes(platform: Platform, ds: date, oracle: Any) -> None:
    assert rows_of(platform, oracle.__name__, ds) == oracle()


def test_every_analysis_is_compared_with_something() -> None:
    compared = {oracle.__name__ for oracle in ORACLES} | {"movie_recommender"}
    assert compared == {analysis.name for analysis in ANALYSES}


@pytest.mark.parametrize("name", [analysis.name for analysis in ANALYSES])
def test_the_export_is_the_mart_as_a_file(platform: Platform, ds: date, name: str) -> None:
    exported = platform.hdfs.read(zones.export(platform.settings.root, name, ds))
    assert exported is not None
    assert exported.decode() == shown(platform, name, ds, "--format", "csv")


@pytest.mark.parametrize("file", FILES)
def test_the_quarantine_has_the_bad_lines_with_their_reasons(
    platform: Platform, ds: date, file: str
) -> None:
    dataset = file.partition("/")[0]
    found = rows_of(platform, f"quarantine_{dataset}", ds)
    assert {row["line"]: tuple(row["reasons"]) for row in found} == FORMATS[file].strays
    # The line's number leads back to it.
    assert all(lines(file)[row["line_number"] - 1] == row["line"] for row in found)


def test_the_recommender_is_better_than_every_mean(platform: Platform, ds: date) -> None:
    [metrics] = rows_of(platform, "movie_recommender_metrics", ds)
    assert (metrics["als_rank"], metrics["iterations"]) == (8, 6)
    assert metrics["gate"] == "published"
    assert metrics["rows_train"] + metrics["rows_test"] == len(latest_ratings())
    assert 0.18 < metrics["rows_test"] / len(latest_ratings()) < 0.22
    means = ("rmse_global_mean", "rmse_item_mean", "rmse_bias")
    assert metrics["rmse"] < 0.85 * min(metrics[mean] for mean in means)
    assert 0 < metrics["mae"] < metrics["rmse"]


def test_users_are_recommended_ten_movies_that_they_have_not_rated(
    platform: Platform, ds: date
) -> None:
    recommended = rows_of(platform, "movie_recommender", ds)
    rated, named = latest_ratings(), titles()
    of_user = {user: list(rows) for user, rows in groupby(recommended, lambda row: row["user_id"])}
    assert set(of_user) == {user for user, _ in rated}
    for user, rows in of_user.items():
        assert [row["rank"] for row in rows] == list(range(1, 11))
        assert [row["score"] for row in rows] == sorted((r["score"] for r in rows), reverse=True)
        assert not {(user, row["movie_id"]) for row in rows} & set(rated)
    assert all(row["title"] == named.get(row["movie_id"]) for row in recommended)


def test_the_receipt_names_the_parameters_the_metrics_and_the_model(
    platform: Platform, ds: date
) -> None:
    receipts = [
        json.loads(platform.millpond("receipt", name, "--ds", str(ds)).stdout)
        for name in ("movie_recommender", "movie_recommender_metrics")
    ]
    assert [receipt["settings"] for receipt in receipts] == [
        {"als_rank": "8", "iterations": "6"},
        {"als_rank": "8", "iterations": "6"},
    ]
    published, metrics = receipts
    assert list(published["with_tables"]) == ["movie_recommender_metrics"]
    assert published["application_id"] == metrics["application_id"]
    [model] = published["with_files"]
    assert {"itemFactors", "metadata", "userFactors"} <= set(platform.hdfs.names(model))


def test_a_chart_has_a_bar_for_each_row(platform: Platform, ds: date) -> None:
    drawn = shown(platform, "rating_histogram", ds, "--chart")
    counts = [row["ratings"] for row in rating_histogram()]
    bars = [line.count("\u2588") for line in drawn.splitlines() if "\u2588" in line]
    assert bars == [40 * count // max(counts) for count in counts]
