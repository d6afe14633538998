"""Make the bundled sample data: seeded, so that the bytes are the same each time.

    python benchmarks/sample_data.py [FOLDER]

Only `random.Random(seed).random()` is drawn from, whose sequence Python guarantees; the rest is
arithmetic. include/data/SOURCES.md says what each file imitates.
"""

import argparse
from bisect import bisect
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from random import Random

from millpond.catalog.settings import PROJECT_DIR

USERS, MOVIES, RATINGS = 900, 1600, 100_000
# How many rated a movie or by a user falls off like a power of its rank, as it does in the world.
MOVIE_SKEW, USER_SKEW = 0.9, 0.6
TASTES = 4
FIRST_SECOND, SECONDS = 874_724_710, 18_500_000  # seven months, from autumn 1997
# Some users rate a movie again, later: only the latest counts.
SECOND_THOUGHTS = 400
BAD_RATINGS = (
    "196\t242\t3",  # a field is missing
    "186\t302\t3\t891717742\textra",
    "22\tthree\t1\t878887116",
    "244\t51\tgood\t880606923",
    "166\t346\t1.5e0\t886397596",
    "298\t474\t9\t884182806",  # out of range
    "115\t265\t3.7\t881171488",  # no half
    "0\t465\t5\t891628467",
    "305\t451\t3\tyesterday",
    "",  # an empty line
)


def ratings(draw: Random) -> str:
    """u.data: tab-separated user, movie, rating from 1 to 5, epoch second; in no order.

    A rating is a mean, plus what the user and the movie are like, plus how well their tastes agree,
    plus chance: what a recommender can learn, and what it cannot.
    """
    user_bias = [_bell(draw) * 0.35 for _ in range(USERS)]
    movie_bias = [_bell(draw) * 0.45 for _ in range(MOVIES)]
    user_taste = [[_bell(draw) for _ in range(TASTES)] for _ in range(USERS)]
    movie_taste = [[_bell(draw) for _ in range(TASTES)] for _ in range(MOVIES)]
    pick_user, pick_movie = _by_rank(draw, USERS, USER_SKEW), _by_rank(draw, MOVIES, MOVIE_SKEW)

    lines: list[str] = []
    rated: set[tuple[int, int]] = set()

    def rate(user: int, movie: int) -> None:
        agreement = sum(u * m for u, m in zip(user_taste[user], movie_taste[movie], strict=True))
        score = 3.5 + user_bias[user] + movie_bias[movie] + 0.4 * agreement + _bell(draw) * 0.5
        stars = min(5, max(1, round(score)))
        second = FIRST_SECOND + int(draw.random() * SECONDS)
        lines.append(f"{user + 1}\t{movie + 1}\t{stars}\t{second}")

    while len(rated) < RATINGS:
        pair = pick_user(), pick_movie()
        if pair not in rated:
            rated.add(pair)
            rate(*pair)
    for pair in sorted(rated)[:: RATINGS // SECOND_THOUGHTS]:
        rate(*pair)
    for number, bad in enumerate(BAD_RATINGS, start=1):
        lines.insert(number * len(lines) // (len(BAD_RATINGS) + 1), bad)
    return "".join(f"{line}\n" for line in lines)


def _bell(draw: Random) -> float:
    """A number around 0 with deviation 1: the sum of twelve even ones, less their mean."""
    return sum(draw.random() for _ in range(12)) - 6


def _by_rank(draw: Random, size: int, skew: float) -> Callable[[], int]:
    """Picks of 0 to size - 1, the n-th most frequent with a weight of 1 / n ** skew.

    Which one is the n-th is a permutation, so that a number says nothing about frequency.
    """
    weights = accumulate(1 / (rank + 5) ** skew for rank in range(size))
    bounds = list(weights)
    order = sorted(range(size), key=lambda _: draw.random())
    return lambda: order[bisect(bounds, draw.random() * bounds[-1])]


def main() -> None:
    """Write every file."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=PROJECT_DIR / "include" / "data")
    folder: Path = parser.parse_args().folder
    (folder / "ratings").mkdir(parents=True, exist_ok=True)
    (folder / "ratings" / "u.data").write_bytes(ratings(Random(1)).encode())


if __name__ == "__main__":
    main()
