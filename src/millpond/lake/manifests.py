"""Manifests: which source file a date of a dataset has in the raw zone."""

import json
from dataclasses import asdict, dataclass
from datetime import date

from millpond.catalog import zones
from millpond.errors import BadInputError
from millpond.lake.hdfs import Hdfs


@dataclass(frozen=True)
class Manifest:
    """A staged source file: its path in the raw zone, and where and when it came from.

    `bytes` is its length; `encoding` is what conforming decodes it with.
    """

    path: str
    bytes: int
    sha256: str
    encoding: str
    source: str
    staged_at: str


def find_manifest(hdfs: Hdfs, root: str, dataset: str, ds: date) -> Manifest | None:
    """The manifest of a date; None if nothing has been staged for it."""
    value = hdfs.read_json(zones.manifest(root, dataset, ds))
    return None if value is None else Manifest(**value)


def read_manifest(hdfs: Hdfs, root: str, dataset: str, ds: date) -> Manifest:
    """The manifest of a date.

    Raises:
        BadInputError: Nothing has been staged for it.
    """
    manifest = find_manifest(hdfs, root, dataset, ds)
    if manifest is None:
        raise BadInputError(
            f"{dataset} has not been staged for {ds}; run stage.{dataset} for that date first"
        )
    return manifest


def write_manifest(hdfs: Hdfs, root: str, dataset: str, ds: date, manifest: Manifest) -> None:
    """Make `manifest` the date's: a reader sees the former one or this one."""
    hdfs.replace(zones.manifest(root, dataset, ds), _content(manifest))


def add_manifest(hdfs: Hdfs, root: str, dataset: str, ds: date, manifest: Manifest) -> bool:
    """Make `manifest` the date's unless it has one; False if it has."""
    return hdfs.add(zones.manifest(root, dataset, ds), _content(manifest))


def _content(manifest: Manifest) -> bytes:
    return (json.dumps(asdict(manifest), indent=2, ensure_ascii=False) + "\n").encode()
