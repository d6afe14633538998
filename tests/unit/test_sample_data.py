"""The bundled data is what its generator writes, and what SOURCES.md says of it."""

from random import Random

import pytest

from benchmarks import sample_data
from millpond.catalog.settings import PROJECT_DIR

BUNDLED = PROJECT_DIR / "include" / "data"
MOST_BYTES = 10_000_000


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return (BUNDLED / "ratings" / "u.data").read_text().splitlines()


def test_the_generator_writes_these_very_bytes() -> None:
    assert sample_data.ratings(Random(1)).encode() == (BUNDLED / "ratings/u.data").read_bytes()


def test_ratings_are_as_many_as_sources_says(lines: list[str]) -> None:
    good = [line.split("\t") for line in lines if line not in sample_data.BAD_RATINGS]
    pairs = [(user, movie) for user, movie, *_ in good]
    assert len(lines) - len(good) == len(sample_data.BAD_RATINGS) == 10
    assert len(set(pairs)) == 100_000
    assert len(pairs) - len(set(pairs)) == 400
    assert len({user for user, _ in pairs}) == 900
    assert len({movie for _, movie in pairs}) == 1600


def test_few_movies_have_many_of_the_ratings(lines: list[str]) -> None:
    counts: dict[str, int] = {}
    for line in lines:
        movie = line.split("\t")[1:2]
        counts.update({name: counts.get(name, 0) + 1 for name in movie})
    by_count = sorted(counts.values(), reverse=True)
    # The most rated tenth has more than a third of all ratings; equal shares would be a tenth.
    assert sum(by_count[:160]) > sum(by_count) / 3


def test_all_of_it_is_small() -> None:
    assert sum(file.stat().st_size for file in BUNDLED.rglob("*") if file.is_file()) < MOST_BYTES
