"""What a partition of a table is about: a date, or an hour."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

HOUR_FORMAT = "%Y-%m-%dT%H"


@dataclass(frozen=True, order=True)
class Hour:
    """An hour of UTC, written `2026-11-22T07`; `start` is its first moment, `end` the next's."""

    start: datetime

    def __post_init__(self) -> None:
        if self.start != self.start.replace(minute=0, second=0, microsecond=0):
            raise ValueError(f"{self.start} is not the start of an hour")

    def __str__(self) -> str:
        return self.start.strftime(HOUR_FORMAT)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return self.start + timedelta(hours=1)

    @property
    def next(self) -> "Hour":
        """The hour after it."""
        return Hour(self.end)

    @classmethod
    def of(cls, moment: datetime) -> "Hour":
        """The hour a moment is in."""
        return cls(moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0))

    @classmethod
    def parse(cls, text: str) -> "Hour":
        """The hour that is written so; ValueError if none is."""
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT([01]\d|2[0-3])", text):
            raise ValueError(f"{text!r} is not written as YYYY-MM-DDTHH")
        return cls(datetime.strptime(text, HOUR_FORMAT).replace(tzinfo=UTC))


Partition = date | Hour
"""A value of a partition column; `str` gives it as tables and paths have it."""


def folder(partition: Partition) -> str:
    """A partition's name in a path: `ds=2026-11-22` or `hour=2026-11-22T07`."""
    return f"{'hour' if isinstance(partition, Hour) else 'ds'}={partition}"
