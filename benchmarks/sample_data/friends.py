"""fakefriends.csv, in the shape of the well-known exercise file: id, name, age, friends."""

from random import Random

from benchmarks.sample_data.draws import Strays, bell, one_of, scattered, whole

SEED = 2
PEOPLE = 500
YOUNGEST, OLDEST = 18, 69
# The younger know more people, by this many a year, and everybody's number is a matter of chance.
FRIENDS_AT_YOUNGEST, FEWER_PER_YEAR, CHANCE, MOST = 280, 3, 90, 499
# Invented: a beginning and an end.
BEGINNINGS = ("Ama", "Bel", "Cor", "Dar", "Eli", "Fen", "Gis", "Hal", "Jor", "Mar", "Nor", "Zoë")
ENDS = ("ba", "lin", "wen", "rique", "mée", "do", "sa", "nik")

BAD_LINES: Strays = {
    "500,33,385": ("field_count",),
    "501,Darsa,forty,many": ("not_an_integer:age", "not_an_integer:friends"),
    "502,Zoëlin,41,-7": ("out_of_range:friends",),
    "17,Norrique,26,2": ("duplicate_key",),  # the first person 17 is far above
}


def make_friends() -> bytes:
    """The file. People are numbered from 0, and lines end with CRLF, as in its model."""
    draw = Random(SEED)
    people = [
        f"{person},{_name(draw)},{(age := whole(draw, YOUNGEST, OLDEST))},{_friends(draw, age)}"
        for person in range(PEOPLE)
    ]
    return "".join(f"{line}\r\n" for line in scattered(people, BAD_LINES)).encode()


def _name(draw: Random) -> str:
    return one_of(draw, BEGINNINGS) + one_of(draw, ENDS)


def _friends(draw: Random, age: int) -> int:
    usual = FRIENDS_AT_YOUNGEST - FEWER_PER_YEAR * (age - YOUNGEST)
    return min(MOST, max(0, round(usual + CHANCE * bell(draw))))
