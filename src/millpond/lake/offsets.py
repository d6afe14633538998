"""The offsets of an hour as a file on HDFS: what a count reads, however often, wherever it runs."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

from millpond.catalog import zones
from millpond.catalog.partitions import Hour
from millpond.errors import BadInputError, MillpondError
from millpond.lake.hdfs import Hdfs


@dataclass(frozen=True)
class OffsetRange:
    """The offsets of a partition from `start` to before `end`.

    The first `lost` of them were deleted before anybody counted them. `how` says what the end is:
    before the first message of the hour's end or later (`time`), or, without one, the end of what
    was stable (`last_stable`).
    """

    partition: int
    start: int
    end: int
    lost: int
    how: Literal["time", "last_stable"]

    @property
    def readable_from(self) -> int:
        """The first offset that can be read."""
        return self.start + self.lost


@dataclass(frozen=True)
class HourOffsets:
    """What an hour is: offsets of every partition of a topic, which Kafka knows by `topic_id`."""

    topic: str
    topic_id: str
    hour: Hour
    ranges: tuple[OffsetRange, ...]

    def to_bytes(self) -> bytes:
        """The file's bytes."""
        value = {**asdict(self), "hour": str(self.hour)}
        return (json.dumps(value, indent=2) + "\n").encode()

    def sha256(self) -> str:
        """Hash of the file's bytes."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def write_offsets(hdfs: Hdfs, root: str, offsets: HourOffsets) -> None:
    """Have the hour's file say so; it never changes.

    Raises:
        MillpondError: It says something else.
    """
    path = zones.offsets(root, offsets.hour)
    # A writer that was killed midway leaves a file that is no JSON.
    if hdfs.read_json(path) is None:
        hdfs.replace(path, offsets.to_bytes())
    elif hdfs.read(path) != offsets.to_bytes():
        raise MillpondError(
            f"{path} has other offsets of {offsets.hour} than the ledger: this MILLPOND_ROOT "
            "belongs to another ledger; MILLPOND_LEDGER_URL must name that one"
        )


def read_offsets(hdfs: Hdfs, root: str, hour: Hour) -> HourOffsets:
    """The offsets of an hour.

    Raises:
        BadInputError: The hour has not been sealed.
    """
    value = hdfs.read_json(zones.offsets(root, hour))
    if value is None:
        raise BadInputError(f"{hour} has not been sealed; run seal for that hour first")
    ranges = tuple(OffsetRange(**each) for each in value["ranges"])
    return HourOffsets(value["topic"], value["topic_id"], hour, ranges)
