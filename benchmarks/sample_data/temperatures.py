"""1800.csv, in the shape of GHCN-Daily by year.

Station, day, element, value, measurement flag, quality flag, source flag, and at some stations the
time of observation. Temperatures are in tenths of a degree Celsius, rain in tenths of a millimetre.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from benchmarks.sample_data.draws import Strays, bell, happens, scattered, whole

SEED = 5
FIRST_DAY, DAYS = date(1800, 1, 1), 365  # 1800 was no leap year
MISSING = -9999
# How far the middle of each month is from the year's mean, in hundredths of the half between the
# warmest and the coldest.
SEASON = (-100, -90, -52, 0, 48, 84, 100, 93, 55, 3, -48, -86)
# How much of yesterday's weather stays, in tenths, and how much news a day brings.
PERSISTENCE, NEWS = 7, 22
GAP_PERCENT, MISSING_PERMILLE, RAIN_PERCENT = 1, 4, 40


@dataclass(frozen=True)
class Station:
    """`mean` and `swing` of the year and `day`, from the coldest to the warmest hour: in tenths.

    `lowest` is where the scale of its thermometer ends; `observed_at` is None where lines have
    seven fields.
    """

    name: str
    mean: int
    swing: int
    day: int = 80
    elements: tuple[str, ...] = ("TMAX", "TMIN", "PRCP")
    opened: date = FIRST_DAY
    lowest: int = -600
    observed_at: str | None = ""


# Invented names in the form of GHCN's: country, network, number.
STATIONS = (
    Station("XME00100117", mean=92, swing=105),
    Station("XME00100258", mean=71, swing=118, observed_at="0700"),
    Station("XME00100339", mean=24, swing=152, day=95, observed_at=None),
    Station("XM000010490", mean=148, swing=81, day=70),
    # Its thermometer ends at -12.5 degrees, which it shows on many days: the first one counts.
    Station("XM000010571", mean=56, swing=160, lowest=-125),
    Station("XMM00010662", mean=205, swing=52, day=110, observed_at="0630"),
    # South of the equator.
    Station("XMM00010743", mean=131, swing=-74),
    # Opened in spring, so that it knows no winter but the next.
    Station("XMW00010824", mean=63, swing=124, opened=date(1800, 4, 12), observed_at=None),
    # Without a minimum.
    Station("XM100010905", mean=90, swing=100, elements=("TMAX", "PRCP")),
    Station("XMN00010986", mean=101, swing=98, elements=("TMAX", "TMIN")),
)

# Readings nobody believes; the sixth field says why, and they must not count. X: beyond what nature
# does, K: the same too often, I: minimum above maximum, G: far from all that was read before.
DOUBTED: dict[tuple[str, str, str], tuple[int, str]] = {
    ("XME00100117", "18000214", "TMIN"): (-999, "X"),
    ("XME00100258", "18000117", "TMIN"): (-731, "X"),
    ("XME00100339", "18000203", "TMIN"): (-640, "G"),
    ("XM000010490", "18000708", "TMIN"): (-417, "G"),
    ("XMM00010662", "18000921", "TMIN"): (-350, "I"),
    ("XMM00010743", "18000630", "TMIN"): (-512, "X"),
    ("XMW00010824", "18001224", "TMIN"): (-777, "K"),
    ("XME00100117", "18000801", "TMAX"): (999, "X"),
    ("XM000010490", "18000802", "TMAX"): (681, "G"),
}

BAD_LINES: Strays = {
    "XME00100117,18000310,TMIN,-12,,": ("field_count",),
    "XME00100117,18000311,TMIN,-12,,,E,0700,": ("field_count",),
    "XME00100258,18000229,TMIN,-201,,,E,": ("bad_date:observed_on",),
    "XME00100258,18001301,TMAX,44,,,E,": ("bad_date:observed_on",),
    "XM000010490,1800-05-02,TMAX,181,,,E,": ("bad_date:observed_on",),
    "XM000010571,18000607,TMIN,-99.5,,,E,": ("not_an_integer:value",),
    "XMM00010662,18000608,TMAX,warm,,,E,": ("not_an_integer:value",),
    "XMM00010662,yesterday,TMAX,mild,,,E,": ("bad_date:observed_on", "not_an_integer:value"),
}


def make_temperatures() -> bytes:
    """The file, by day, then station."""
    draw = Random(SEED)
    weather = dict.fromkeys(STATIONS, 0)
    lines: list[str] = []
    for number in range(DAYS):
        day = FIRST_DAY + timedelta(days=number)
        for station in STATIONS:
            weather[station] = weather[station] * PERSISTENCE // 10 + round(NEWS * bell(draw))
            if day >= station.opened and not happens(draw, GAP_PERCENT):
                lines += _readings(draw, station, day, weather[station])
    return "".join(f"{line}\n" for line in scattered(lines, BAD_LINES)).encode()


def _readings(draw: Random, station: Station, day: date, weather: int) -> Iterator[str]:
    middle = station.mean + station.swing * _season(day) // 100 + weather
    spread = station.day // 2 + whole(draw, -station.day // 4, station.day // 4)
    rain = whole(draw, 0, 240) if happens(draw, RAIN_PERCENT) else 0
    read = {
        "TMAX": max(station.lowest, middle + spread),
        "TMIN": max(station.lowest, middle - spread),
        "PRCP": rain,
    }
    for element in station.elements:
        value = MISSING if whole(draw, 1, 1000) <= MISSING_PERMILLE else read[element]
        value, doubt = DOUBTED.get((station.name, f"{day:%Y%m%d}", element), (value, ""))
        # Rain that wet the gauge and could not be measured.
        trace = "T" if element == "PRCP" and value == 0 and happens(draw, 10) else ""
        fields = [station.name, f"{day:%Y%m%d}", element, str(value), trace, doubt, "E"]
        if station.observed_at is not None:
            fields.append(station.observed_at)
        yield ",".join(fields)


def _season(day: date) -> int:
    """SEASON of a day, on a line between the middles of the two nearest months, each of 30 days."""
    months, days = divmod((day - FIRST_DAY).days * 12 * 30 // DAYS - 15, 30)
    before, after = SEASON[months % 12], SEASON[(months + 1) % 12]
    return before + (after - before) * days // 30
