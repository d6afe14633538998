"""What each analysis must say of the bundled data, by plain Python: the rows as `show` has them."""

import unicodedata
from collections import Counter, defaultdict
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from itertools import groupby
from typing import Any

from tests.bundled import BOOK, FRIENDS, MOVIES, ORDERS, RATINGS, TEMPERATURES, fitting, lines

Rows = list[dict[str, Any]]


def latest_ratings(first: int | None = None) -> dict[tuple[int, int], int]:
    """Each user's stars for each movie, the latest; of two at one second, the later line.

    `first`: of so many lines that fit, from the beginning.
    """
    in_order = sorted(fitting(RATINGS)[:first], key=lambda fields: int(fields[3]))  # stable
    return {(int(user), int(movie)): int(stars) for user, movie, stars, _ in in_order}


def titles() -> dict[int, str]:
    return {int(fields[0]): fields[1] for fields in fitting(MOVIES)}


def rating_histogram() -> Rows:
    counts = Counter(latest_ratings().values())
    return [{"rating": float(stars), "ratings": counts[stars]} for stars in sorted(counts)]


def friends_by_age() -> Rows:
    of_age = defaultdict[int, list[int]](list)
    for _, _, age, friends in fitting(FRIENDS):
        of_age[int(age)].append(int(friends))
    return [
        {"age": age, "people": len(n), "average_friends": float(Fraction(sum(n), len(n)))}
        for age, n in sorted(of_age.items())
    ]


def min_temperatures() -> Rows:
    believed = sorted(
        (fields[0], int(fields[3]), datetime.strptime(fields[1], "%Y%m%d").date())  # noqa: DTZ007
        for fields in fitting(TEMPERATURES)
        if fields[2] == "TMIN" and fields[3] != "-9999" and not fields[5]
    )
    lowest = (next(group) for _, group in groupby(believed, key=lambda row: row[0]))
    return [
        {
            "station": station,
            "min_celsius": f"{Decimal(tenths) / 10:.1f}",
            "min_fahrenheit": f"{Decimal(tenths) / 10 * 9 / 5 + 32:.2f}",
            "observed_on": str(day),
        }
        for station, tenths, day in lowest
    ]


def word_counts() -> Rows:
    text = "\n".join(lines(BOOK)).lower()
    words = (
        "".join(run)
        for is_word, run in groupby(
            text, key=lambda c: unicodedata.category(c)[0] in "LN" or c == "_"
        )
        if is_word
    )
    counts = Counter(words)
    in_order = sorted(counts, key=lambda word: (-counts[word], word))
    return [{"word": word, "occurrences": counts[word]} for word in in_order]


def customer_totals() -> Rows:
    totals, orders = Counter[int](), Counter[int]()
    for customer, _, amount in fitting(ORDERS):
        totals[int(customer)] += int(Decimal(amount) * 100)
        orders[int(customer)] += 1
    in_order = sorted(totals, key=lambda customer: (-totals[customer], customer))
    return [
        {"customer_id": c, "total_spent": f"{Decimal(totals[c]) / 100:.2f}", "orders": orders[c]}
        for c in in_order
    ]


def popular_movies() -> Rows:
    of_movie = defaultdict[int, list[int]](list)
    for (_, movie), stars in latest_ratings().items():
        of_movie[movie].append(stars)
    in_order = sorted(of_movie.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {
            "movie_id": movie,
            "title": titles().get(movie),
            "ratings": len(stars),
            "average_rating": float(Fraction(sum(stars), len(stars))),
        }
        for movie, stars in in_order
    ]


ORACLES = [
    rating_histogram,
    friends_by_age,
    min_temperatures,
    word_counts,
    customer_totals,
    popular_movies,
]
