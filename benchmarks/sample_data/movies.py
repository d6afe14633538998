"""u.item, in the shape of MovieLens 100K: 24 fields between `|`, ISO-8859-1.

Number, title with year, release date, video release date (always empty), address, 19 genre flags.
"""

from random import Random
from urllib.parse import quote

from benchmarks.sample_data.draws import (
    Strays,
    by_weight,
    happens,
    one_of,
    scattered,
    whole,
)
from benchmarks.sample_data.grammar import Grammar
from benchmarks.sample_data.ratings import MOVIES

SEED = 4
NEWEST, OLDEST = 1997, 1926  # the ratings begin in 1997
# From here on, half of the movies have the day; before, all have the first of January.
KNOWN_DAYS_SINCE = 1992
DATELESS_PERCENT = 1
GENRES = 19
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# All alternatives of the titles' grammar about as often. Each title has an invented place or person
# in it, so that it is nobody's.
EVENNESS = 1000


def item(number: int | str, title: str, released: str, genres: str) -> str:
    """One line; `genres` is 19 flags."""
    address = f"http://films.example/title?{quote(title, safe='()', encoding='latin-1')}"
    return "|".join((str(number), title, released, "", address, *genres))


DRAMA = f"{1 << 10:019b}"
BAD_LINES: Strays = {
    item(680, "Glass Orchard of Vexley, The (1996)", "31-Feb-1996", DRAMA): (
        "bad_date:release_date",
    ),
    item(1004, "Tides for Ottoline Grebe (1995)", "1995-04-01", DRAMA): ("bad_date:release_date",),
    item(267, "", "", DRAMA): ("missing:title",),
    item(1122, "Half a Year in Åsby (1994)", "01-Jan-1994", DRAMA[1:]): ("field_count",),
    item(1358, "Crake | Stoat (1997)", "01-Jan-1997", DRAMA): ("field_count",),
    item("n/a", "Two Alibis for Larkspit (1993)", "01-Jan-1993", DRAMA): (
        "not_an_integer:movie_id",
    ),
    item(0, "Zero Hours of Fennimoor, The (1996)", "01-Jan-1996", DRAMA): (
        "out_of_range:movie_id",
    ),
    item(42, "Second Forty-Two of Quillham, The (1997)", "01-Jan-1997", DRAMA): ("duplicate_key",),
    item(77, "Zoë Lindkvist-Hale's Other Map (1996)", "12-Apr-1996", DRAMA): ("duplicate_key",),
}
# Rated, but without a line that fits: some are not in the file at all.
NAMELESS = (118, 267, 680, 1004, 1122, 1358, 1459, 1533)


def make_movies() -> bytes:
    """The file, by number; all titles differ."""
    draw = Random(SEED)
    years = range(OLDEST, NEWEST + 1)
    a_year = by_weight(draw, years, (10**6 // (NEWEST - year + 3) ** 2 for year in years))
    lines: list[str] = []
    for number, title in enumerate(_titles(draw), start=1):
        if number not in NAMELESS:
            year = a_year()
            lines.append(item(number, f"{title} ({year})", _release(draw, year), _genres(draw)))
    return "".join(f"{line}\n" for line in scattered(lines, BAD_LINES)).encode("latin-1")


def _titles(draw: Random) -> list[str]:
    grammar = Grammar(draw, "title_grammar.txt", evenness=EVENNESS)
    found: dict[str, None] = {}  # a set in the order of insertion
    while len(found) < MOVIES:
        found[grammar.write("<title>")] = None
    return list(found)


def _release(draw: Random, year: int) -> str:
    if happens(draw, DATELESS_PERCENT):
        return ""
    if year < KNOWN_DAYS_SINCE or happens(draw, 50):
        return f"01-Jan-{year}"
    return f"{whole(draw, 1, 28):02}-{one_of(draw, MONTHS)}-{year}"


def _genres(draw: Random) -> str:
    """One to three flags; the first, of the unknown genre, is nobody's."""
    flags = ["0"] * GENRES
    for _ in range(whole(draw, 1, 3)):
        flags[whole(draw, 1, GENRES - 1)] = "1"
    return "".join(flags)
