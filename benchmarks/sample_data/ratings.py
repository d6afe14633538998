"""u.data, in the shape of MovieLens 100K: tab-separated user, movie, rating, second; no order."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from random import Random

from benchmarks.sample_data.draws import Strays, bell, by_weight, scattered, shuffled, whole

SEED = 1
USERS, MOVIES, RATINGS = 900, 1600, 100_000
SECOND_THOUGHTS = 400  # ratings of a movie again: the later time counts, wherever its line is
LEAST_PER_USER = 20  # MovieLens leaves out whoever rated less; here about that many
# The larger, the more even: now every second user has rated the most popular movie, and half of the
# movies have been rated by fewer than 32 of the 900.
EVENNESS = 60
FIRST_SECOND, SECONDS = 874_724_710, 18_500_000  # seven months, from September 1997
# What a rating is made of, in stars. Taste must not drown in chance: a recommender could learn no
# more than two means then. With less chance it would be easier than the world is.
USUAL, GENEROSITY, QUALITY, FAME, TASTE, CHANCE = 3.3, 0.4, 0.4, 0.6, 0.42, 0.65
TASTES = 3

BAD_LINES: Strays = {
    "196\t242\t3": ("field_count",),
    "186\t302\t3\t891717742\textra": ("field_count",),
    "": ("field_count",),
    "six\t86\t4\t883603013": ("not_an_integer:user_id",),
    "0\t465\t5\t891628467": ("out_of_range:user_id",),
    "22\tthree\t1\t878887116": ("not_an_integer:movie_id",),
    "244\t51\tgood\t880606923": ("not_a_number:rating",),
    "166\t346\t1.5e0\t886397596": ("not_a_number:rating",),
    "298\t474\t9\t884182806": ("out_of_range:rating",),
    "115\t265\t3.7\t881171488": ("out_of_range:rating",),  # no half
    "305\t451\t3\tyesterday": ("not_an_integer:rated_at",),
    "305\t451\t0\t1998-03-01": ("out_of_range:rating", "not_an_integer:rated_at"),
}


def make_ratings() -> bytes:
    """The file. Users and movies are numbered from 1, and a number says nothing of a popularity."""
    draw = Random(SEED)
    # The most active and the most popular first.
    users, movies = shuffled(draw, range(USERS)), shuffled(draw, range(MOVIES))
    rated = _pairs(draw, users, movies)
    stars = _opinions(draw, movies)
    lines = [
        f"{user + 1}\t{movie + 1}\t{stars(user, movie)}\t{FIRST_SECOND + whole(draw, 0, SECONDS)}"
        for user, movie in [*rated, *shuffled(draw, rated)[:SECOND_THOUGHTS]]
    ]
    return "".join(f"{line}\n" for line in scattered(shuffled(draw, lines), BAD_LINES)).encode()


def _pairs(draw: Random, users: Sequence[int], movies: Sequence[int]) -> list[tuple[int, int]]:
    """Who rated what: at least one user per movie, and the more the earlier they are in order."""
    a_user, a_movie = _by_rank(draw, users), _by_rank(draw, movies)
    each_movie = ((a_user(), movie) for movie in movies)
    each_user = ((user, a_movie()) for user in users for _ in range(LEAST_PER_USER))
    anybody: Iterator[tuple[int, int]] = iter(lambda: (a_user(), a_movie()), None)
    rated: dict[tuple[int, int], None] = {}  # a set in the order of insertion
    for pair in chain(each_movie, each_user, anybody):
        rated[pair] = None
        if len(rated) == RATINGS:
            break
    return list(rated)


def _by_rank(draw: Random, ranked: Sequence[int]) -> Callable[[], int]:
    """Picks that favour the first, as popularity does, and hardly ever are the last."""
    size = len(ranked)
    return by_weight(
        draw, ranked, (10**9 * (size - rank) // (rank + EVENNESS) for rank in range(size))
    )


def _opinions(draw: Random, movies: Sequence[int]) -> Callable[[int, int], int]:
    """How many stars a user gives a movie: what is popular is a little better than what is not."""
    rank = {movie: rank for rank, movie in enumerate(movies)}
    generosity = [GENEROSITY * bell(draw) for _ in range(USERS)]
    quality = [
        QUALITY * bell(draw) + FAME * (1 - 2 * rank[movie] / MOVIES) for movie in range(MOVIES)
    ]
    likes = [[bell(draw) for _ in range(TASTES)] for _ in range(USERS)]
    offers = [[bell(draw) for _ in range(TASTES)] for _ in range(MOVIES)]

    def stars(user: int, movie: int) -> int:
        agreement = sum(u * m for u, m in zip(likes[user], offers[movie], strict=True))
        opinion = USUAL + generosity[user] + quality[movie] + TASTE * agreement
        return min(5, max(1, round(opinion + CHANCE * bell(draw))))

    return stars
