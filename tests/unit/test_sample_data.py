"""The bundled data is what its generators write, and what SOURCES.md says of it."""

import os
import re
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.sample_data import FILES, movies, temperatures
from millpond.catalog.reasons import reason
from millpond.catalog.settings import PROJECT_DIR
from tests.bundled import (
    BOOK,
    BUNDLED,
    FORMATS,
    FRIENDS,
    MOVIES,
    ORDERS,
    RATINGS,
    TEMPERATURES,
    fitting,
    judged,
    lines,
)

MOST_BYTES = 10_000_000


def test_the_generators_write_these_very_bytes(tmp_path: Path) -> None:
    # Neither the order of sets nor the language of the machine may matter.
    environment = {**os.environ, "PYTHONHASHSEED": "random", "LC_ALL": "C", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "benchmarks.sample_data", "--out", str(tmp_path)]
    subprocess.run(command, cwd=PROJECT_DIR, env=environment, check=True)
    assert sums(tmp_path) == sums(BUNDLED)


def sums(folder: Path) -> dict[str, str]:
    """The sha256 of each file; a user may have put others beside them."""
    return {name: sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


@pytest.mark.parametrize("name", FILES)
def test_the_lines_that_do_not_fit_are_the_declared_ones(name: str) -> None:
    fit, strays = judged(name)
    assert strays == FORMATS[name].strays
    assert len(fit) + len(strays) == len(lines(name))
    assert len(strays) < 0.01 * len(lines(name))  # the limit of every dataset


@pytest.mark.parametrize("name", FILES)
def test_reasons_are_in_the_catalogue(name: str) -> None:
    for reasons in FORMATS[name].strays.values():
        for written in reasons:
            code, _, column = written.partition(":")
            assert reason(code, column or None) == written


def test_sources_names_every_file_with_its_lines() -> None:
    declared = rows_of_sources("file", "lines", "fit", "do not fit")
    assert declared == [
        [f"`{name}`", *(f"{n:,}" for n in (len(lines(name)), len(fitting(name)), len(strays)))]
        for name in FILES
        for strays in [judged(name)[1]]
    ]


def test_sources_counts_every_reason() -> None:
    declared = rows_of_sources("file", "reasons", "lines")
    counts = {name: Counter(", ".join(r) for r in judged(name)[1].values()) for name in FILES}
    assert sorted(declared) == sorted(
        [f"`{name}`", f"`{reasons}`", str(count)]
        for name in FILES
        for reasons, count in counts[name].items()
    )


def rows_of_sources(*header: str) -> list[list[str]]:
    """The rows of the table with that header."""
    text = (BUNDLED / "SOURCES.md").read_text()
    table = text.split(f"| {' | '.join(header)} |\n", 1)[1].split("\n\n")[0]
    return [
        [cell.strip() for cell in row.strip("| \n").split("|")] for row in table.splitlines()[1:]
    ]


def test_all_of_it_is_small() -> None:
    assert sum((BUNDLED / name).stat().st_size for name in FILES) < MOST_BYTES


def test_ratings_are_of_900_people_and_1600_movies() -> None:
    rated = [(user, movie) for user, movie, _, _ in fitting(RATINGS)]
    assert len(set(rated)) == 100_000
    assert {int(user) for user, _ in rated} == set(range(1, 900 + 1))
    assert {int(movie) for _, movie in rated} == set(range(1, 1600 + 1))
    assert {stars for _, _, stars, _ in fitting(RATINGS)} == set("12345")


def test_some_rate_a_movie_again_at_another_time() -> None:
    times: dict[tuple[str, str], list[str]] = {}
    for user, movie, _, second in fitting(RATINGS):
        times.setdefault((user, movie), []).append(second)
    again = [seconds for seconds in times.values() if len(seconds) > 1]
    assert len(again) == 400
    assert all(len(set(seconds)) == 2 for seconds in again)
    # The latest is not always in the last line.
    assert 100 < sum(first > last for first, last in again) < 300


def test_few_movies_have_many_of_the_ratings() -> None:
    counts = sorted(Counter(movie for _, movie, _, _ in fitting(RATINGS)).values(), reverse=True)
    # The most rated tenth has more than a third of all ratings; equal shares would be a tenth.
    assert sum(counts[:160]) > sum(counts) / 3
    assert counts[-100] < 5


def test_tastes_can_be_learnt_from_ratings() -> None:
    """Least squares with three tastes, against what users and movies are like on the whole."""
    table = np.array(fitting(RATINGS), dtype=int)[:, :3] - [1, 1, 0]
    held_back = np.arange(len(table)) % 5 == 0
    train, test = table[~held_back], table[held_back]
    mean = train[:, 2].mean()

    def bias_of(column: int, rest: NDArray[np.float64]) -> NDArray[np.float64]:
        sums, counts = np.bincount(train[:, column], rest), np.bincount(train[:, column])
        return np.asarray(sums / (counts + 5))

    movie_bias = bias_of(1, train[:, 2] - mean)
    user_bias = bias_of(0, train[:, 2] - mean - movie_bias[train[:, 1]])

    def without_bias(rows: NDArray[np.int_]) -> NDArray[np.float64]:
        return np.asarray(rows[:, 2] - mean - user_bias[rows[:, 0]] - movie_bias[rows[:, 1]])

    tastes = [np.random.default_rng(0).normal(size=(size, 3)) for size in (900, 1600)]
    for of, other in [(0, 1), (1, 0)] * 5:
        for one in range(len(tastes[of])):
            mine = train[:, of] == one
            known = tastes[other][train[mine, other]]
            tastes[of][one] = np.linalg.solve(
                known.T @ known + 5 * np.eye(3), known.T @ without_bias(train[mine])
            )
    agreement = (tastes[0][test[:, 0]] * tastes[1][test[:, 1]]).sum(axis=1)
    rmse_item_mean = rms(test[:, 2] - mean - movie_bias[test[:, 1]])
    rmse_bias = rms(without_bias(test))
    rmse_tastes = rms(without_bias(test) - agreement)
    assert rmse_tastes < 0.85 * rmse_bias < 0.85 * rmse_item_mean


def rms(errors: NDArray[np.float64]) -> float:
    return float(np.sqrt((errors**2).mean()))


def test_all_movies_but_eight_have_a_name() -> None:
    named = {int(fields[0]) for fields in fitting(MOVIES)}
    assert set(range(1, 1600 + 1)) - named == set(movies.NAMELESS)
    assert named < set(range(1, 1600 + 1))
    assert len(movies.NAMELESS) == 8


def test_titles_differ_and_have_accents_and_years() -> None:
    titles = [fields[1] for fields in fitting(MOVIES)]
    assert len(set(titles)) == len(titles)
    assert sum(not title.isascii() for title in titles) > 300
    assert set("éüñ") < set("".join(titles))
    years = [re.fullmatch(r".+ \((\d{4})\)", title) for title in titles]
    dates = [fields[2] for fields in fitting(MOVIES)]
    assert all(
        year is not None and date in ("", date[:7] + year[1])
        for year, date in zip(years, dates, strict=True)
    )
    assert 5 < dates.count("") < 30


def test_people_of_every_age_have_friends() -> None:
    assert [int(fields[0]) for fields in fitting(FRIENDS)] == list(range(500))
    assert {int(fields[2]) for fields in fitting(FRIENDS)} == set(range(18, 69 + 1))
    assert len({fields[3] for fields in fitting(FRIENDS)}) > 100


def test_ten_stations_observe_the_year_1800() -> None:
    read = fitting(TEMPERATURES)
    stations = {station for station, *_ in read}
    assert len(stations) == 10
    assert all(len(station) == 11 for station in stations)
    assert len({day for _, day, *_ in read}) == 365
    assert {day[:4] for _, day, *_ in read} == {"1800"}
    assert {len(fields) for fields in read} == {7, 8}


def test_one_station_has_no_minimum() -> None:
    minimum = {fields[0] for fields in fitting(TEMPERATURES) if fields[2] == "TMIN"}
    assert {fields[0] for fields in fitting(TEMPERATURES)} - minimum == {"XM100010905"}


def test_summers_are_warmer_south_of_the_equator_in_january() -> None:
    def mean_maximum(station: str, month: str) -> float:
        values = [
            int(fields[3])
            for fields in fitting(TEMPERATURES)
            if fields[0] == station and fields[1][4:6] == month and fields[2] == "TMAX"
            if not fields[5] and fields[3] != "-9999"
        ]
        return sum(values) / len(values)

    everywhere = {s.name for s in temperatures.STATIONS if s.opened == temperatures.FIRST_DAY}
    winter_in_july = {s for s in everywhere if mean_maximum(s, "01") > mean_maximum(s, "07")}
    assert winter_in_july == {"XMM00010743"}


def test_doubted_and_missing_minima_would_be_the_lowest() -> None:
    minima = [fields for fields in fitting(TEMPERATURES) if fields[2] == "TMIN"]
    doubted = [fields for fields in minima if fields[5]]
    assert len(doubted) == 7
    assert sum(fields[3] == "-9999" for fields in minima) > 5
    for station, _, _, value, *_ in doubted:
        believed = [int(f[3]) for f in minima if f[0] == station and not f[5] and f[3] != "-9999"]
        assert int(value) < min(believed)


def test_one_station_has_its_minimum_on_several_days() -> None:
    days = [
        f[1] for f in fitting(TEMPERATURES) if f[:1] + f[2:4] == ["XM000010571", "TMIN", "-125"]
    ]
    assert len(days) > 1


def test_the_book_has_50_000_words_and_what_books_have() -> None:
    text = "\n".join(lines(BOOK))
    words = Counter(re.findall(r"\w+", text.lower()))
    assert 50_000 <= words.total() < 51_000
    for kind in (
        "don\u2019t",
        "Don't",
        "sluice-keeper",
        "—",
        "…",
        "“",
        "½",
        "Zoë",
        "œ",
        "_not_",
        "LANTERNS",
    ):
        assert kind in text
    assert any(word.isdigit() for word in words)


def test_few_words_of_the_book_are_frequent_and_many_are_rare() -> None:
    words = Counter(re.findall(r"\w+", "\n".join(lines(BOOK)).lower()))
    ten_most_frequent = sum(count for _, count in words.most_common(10))
    assert ten_most_frequent > words.total() / 5
    assert sum(count <= 2 for count in words.values()) > len(words) / 4


def test_20_000_orders_of_100_customers() -> None:
    bought = fitting(ORDERS)
    assert len(bought) == 20_000
    assert {int(customer) for customer, _, _ in bought} == set(range(100))
    assert all(re.fullmatch(r"-?\d+\.\d\d", amount) for _, _, amount in bought)
    assert not (BUNDLED / ORDERS).read_bytes().endswith(b"\n")


def test_refunds_give_back_what_was_bought_before() -> None:
    kept = Counter[tuple[str, str, str]]()
    refunds = 0
    for customer, item, amount in fitting(ORDERS):
        if amount.startswith("-"):
            refunds += 1
            kept[customer, item, amount[1:]] -= 1
            assert kept[customer, item, amount[1:]] >= 0
        else:
            kept[customer, item, amount] += 1
    assert 300 < refunds < 500
