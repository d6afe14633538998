"""A run of an application: the arguments an operator gives and an application takes.

Both sides use this one class, so neither can drift from the contract in docs/reference.
"""

import argparse
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import millpond
from millpond.catalog.partitions import Hour, Partition
from millpond.errors import MillpondError

# The packages whose modules an application imports.
SHAPING = ("catalog", "interactions", "lake", "spark")


@dataclass(frozen=True)
class Run:
    """One attempt of one generation to compute a partition: a date, or an hour.

    A generation is one intended computation of (DAG, run, task): a retry keeps it, a clear or a
    backfill makes a new one. `attempt` numbers the submissions within a generation.
    """

    partition: Partition
    generation: str
    attempt: int
    run_id: str
    root: str
    settings: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        # It becomes part of a file name and of a YARN tag, which is lower case.
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,59}", self.generation):
            raise MillpondError(
                f"generation {self.generation!r} is not 1 to 60 lower-case letters, digits, hyphens"
            )

    @property
    def name(self) -> str:
        """The attempt's name in a claim."""
        return f"{self.generation}-{self.attempt}"

    @property
    def ds(self) -> date:
        """The date of a daily run."""
        assert not isinstance(self.partition, Hour)
        return self.partition

    def arguments(self) -> list[str]:
        """The run as command-line arguments."""
        kind = "--hour" if isinstance(self.partition, Hour) else "--ds"
        return [
            *(kind, str(self.partition)),
            *("--generation", self.generation, "--attempt", str(self.attempt)),
            # A person may have named the run, with a hyphen first.
            *(f"--run-id={self.run_id}", "--root", self.root),
            *(part for key, value in self.settings for part in ("--set", f"{key}={value}")),
        ]

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> "Run":
        """The run that `arguments` describe; a wrong one ends the process with a usage message."""
        parser = argparse.ArgumentParser(allow_abbrev=False)
        partition = parser.add_mutually_exclusive_group(required=True)
        partition.add_argument("--ds", dest="partition", type=date.fromisoformat)
        partition.add_argument("--hour", dest="partition", type=Hour.parse)
        parser.add_argument("--generation", required=True)
        parser.add_argument("--attempt", type=int, required=True)
        parser.add_argument("--run-id", required=True)
        parser.add_argument("--root", required=True)
        parser.add_argument("--set", dest="settings", type=_pair, action="append", default=[])
        values = parser.parse_args(arguments)
        return cls(
            values.partition,
            values.generation,
            values.attempt,
            values.run_id,
            values.root,
            tuple(values.settings),
        )


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not key=value")
    return key, value


def code_version(application: Path) -> str:
    """The library's version and a hash of all code that shapes a result.

    Equal for equal code, committed or not: it hashes the application's file and the library's
    modules that an application can import, by name and content.
    """
    package = Path(millpond.__file__).parent
    folders = [package / name for name in SHAPING]
    modules = sorted(file for folder in folders for file in folder.rglob("*.py"))
    digest = hashlib.sha256()
    for file in (application, *sorted(package.glob("*.py")), *modules):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return f"{millpond.__version__}+{digest.hexdigest()[:12]}"
