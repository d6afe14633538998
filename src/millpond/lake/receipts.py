"""Receipts: one immutable JSON file per publication, and the claim that says who may publish.

`<root>/receipts/<table>/ds=D/<N>.json` is written before the table's commit N and counts once that
commit exists: the current receipt of D is file number `transaction_version("<table>/D")`. A number
without a commit belongs to an attempt that died or was superseded between the two, or that refused
to publish by rule: its outcome is `refused`, and it counts as it is.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from millpond.catalog import zones
from millpond.catalog.partitions import Partition
from millpond.catalog.settings import Settings
from millpond.catalog.tables import Table, limits_in_words
from millpond.lake.hdfs import Hdfs, whole_json

Outcome = Literal["published", "refused"]


@dataclass(frozen=True)
class Source:
    """What a publication read: a file with its sha256, or a table's date.

    A table is read at `version`, in which the date's current receipt is `number`.
    """

    path: str
    sha256: str | None = None
    version: int | None = None
    number: int | None = None


@dataclass(frozen=True)
class Check:
    """A check's result: its figure beside the limits it was held to."""

    name: str
    severity: Literal["error", "warn"]
    passed: bool
    figure: float | None
    minimum: float | None
    maximum: float | None

    def __str__(self) -> str:
        """The figure and its limits, as in a sentence."""
        limits = limits_in_words(self.minimum, self.maximum)
        return f"{self.name} is {_in_words(self.figure)}, which must be {limits}"


def _in_words(figure: float | None) -> str:
    if figure is None:
        return "null"
    # A count with all its digits, a share with a few.
    return f"{figure:g}" if figure % 1 else f"{figure:.0f}"


@dataclass(frozen=True)
class Receipt:
    """What went in, what came out, which application, which code, which checks.

    `ds` is the partition: a date, or the hour of an hourly table such as 2026-11-22T07.
    `rows` counts `in`, `out` and, for a dataset, `quarantined`; `seconds` is the time of each phase
    up to this receipt; `with_tables` gives the versions of tables published together with this one,
    `with_files` the paths of what was saved beside them; `settings` are those given to the run.
    """

    table: str
    ds: str
    number: int
    outcome: Outcome
    run_id: str
    generation: str
    attempt: str
    application_id: str
    inputs: tuple[Source, ...]
    rows: dict[str, int]
    checks: tuple[Check, ...]
    code_version: str
    seconds: dict[str, float]
    with_tables: dict[str, int]
    written_at: str
    with_files: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def is_refusal(self) -> bool:
        """Whether nothing was published, by rule."""
        return self.outcome == "refused"

    def to_bytes(self) -> bytes:
        """The file's bytes: indented JSON, keys in the order above."""
        return (json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Receipt":
        """The receipt a file holds."""
        inputs = tuple(Source(**source) for source in value["inputs"])
        checks = tuple(Check(**check) for check in value["checks"])
        files = tuple(value.get("with_files", ()))
        return cls(**{**value, "inputs": inputs, "checks": checks, "with_files": files})

    def sha256(self) -> str:
        """Hash of the file's bytes, kept in the commit's userMetadata."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


class Receipts:
    """The receipts of one table and partition."""

    def __init__(self, hdfs: Hdfs, root: str, table: str, partition: Partition) -> None:
        self._hdfs = hdfs
        self._folder = zones.receipts(root, table, partition)

    @classmethod
    def of(cls, settings: Settings, table: Table, partition: Partition) -> "Receipts":
        """Those on the HDFS, and below the root, that the settings name."""
        return cls(Hdfs(settings.hdfs_url), settings.root, table.name, partition)

    def create(self, receipt: Receipt) -> bool:
        """Write the receipt; False if its number is taken."""
        return self._hdfs.create(f"{self._folder}/{receipt.number}.json", receipt.to_bytes())

    def create_next(self, receipt: Receipt) -> Receipt:
        """Write the receipt under the first free number from its own on."""
        while not self.create(receipt):
            receipt = replace(receipt, number=receipt.number + 1)
        return receipt

    def read(self, number: int) -> Receipt | None:
        """The receipt of that number; None if there is none, or a torn one."""
        value = self._hdfs.read_json(f"{self._folder}/{number}.json")
        return None if value is None else Receipt.from_json(value)

    def with_hashes(self) -> Iterator[tuple[Receipt, str]]:
        """Each receipt with the hash that a commit of it carries, the newest first."""
        for number in self._numbers():
            # The file's own bytes: another version of this class may have written them.
            content = self._hdfs.read(f"{self._folder}/{number}.json") or b""
            if value := whole_json(content):
                yield Receipt.from_json(value), hashlib.sha256(content).hexdigest()

    def published_as(self, sha256: str) -> Receipt | None:
        """The receipt whose hash a commit carries; None if there is none."""
        return next((receipt for receipt, found in self.with_hashes() if found == sha256), None)

    def standing(self, current: int) -> list[Receipt]:
        """What counts for the date, the newest first: refusals to publish, then the current one.

        `current` is the number of the last publication, 0 if there is none.
        """
        later = (self.read(number) for number in self._numbers() if number > current)
        refusals = [receipt for receipt in later if receipt and receipt.is_refusal]
        published = self.read(current)
        return [*refusals, published] if published else refusals

    def _numbers(self) -> list[int]:
        stems = (name.removesuffix(".json") for name in self._hdfs.names(self._folder))
        return sorted((int(stem) for stem in stems if stem.isdecimal()), reverse=True)

    def claim(self, attempt: str) -> None:
        """From now on only `attempt` may publish this table and partition."""
        self._hdfs.replace(f"{self._folder}/claim", attempt.encode())

    def claimant(self) -> str | None:
        """The attempt that may publish; None if nobody has claimed."""
        content = self._hdfs.read(f"{self._folder}/claim")
        return None if content is None else content.decode()

    def report_failure(self, generation: str, attempt: str, report: dict[str, Any]) -> None:
        """Leave the cause and figures of a failed attempt for whoever submitted it."""
        content = json.dumps(report, indent=2, ensure_ascii=False).encode()
        self._hdfs.replace(f"{self._folder}/failed-{generation}-{attempt}.json", content)

    def failure(self, generation: str, attempt: str) -> dict[str, Any] | None:
        """The report of a failed attempt; None if it left none."""
        report: dict[str, Any] | None = self._hdfs.read_json(
            f"{self._folder}/failed-{generation}-{attempt}.json"
        )
        return report
