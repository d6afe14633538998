"""Draws from a seeded generator that are the same with every Python, C library and processor.

They use `random()` and `getrandbits()` alone, whose sequences are fixed for a seed, and arithmetic
that is exact: the other methods of Random may change, and pow, log or cos may differ in a last bit.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from random import Random
from typing import TypeVar

T = TypeVar("T")
# Lines that do not fit their format, each with the reasons why, in the order of the columns.
Strays = dict[str, tuple[str, ...]]

COINS = 1024


def whole(draw: Random, least: int, most: int) -> int:
    """A whole number from `least` to `most`, both included, all equally likely."""
    return least + int(draw.random() * (most - least + 1))


def one_of(draw: Random, items: Sequence[T]) -> T:
    """One of the items, all equally likely."""
    return items[whole(draw, 0, len(items) - 1)]


def happens(draw: Random, percent: int) -> bool:
    """True that often."""
    return whole(draw, 1, 100) <= percent


def bell(draw: Random) -> float:
    """A number around 0 with deviation 1, in sixteenths: the heads among many coins."""
    return (draw.getrandbits(COINS).bit_count() - COINS // 2) / 16


def shuffled(draw: Random, items: Iterable[T]) -> list[T]:
    """The items in any order."""
    return sorted(items, key=lambda _: draw.random())


def by_weight(draw: Random, items: Sequence[T], weights: Iterable[int]) -> Callable[[], T]:
    """Picks of the items, each as often as its weight says."""
    bounds = list(accumulate(weights))
    return lambda: items[bisect_right(bounds, int(draw.random() * bounds[-1]))]


def scattered(lines: list[str], strays: Strays) -> list[str]:
    """The lines with the strays at even distances between them."""
    result = list(lines)
    for number, stray in enumerate(strays, start=1):
        result.insert(number * len(result) // (len(strays) + 1), stray)
    return result
