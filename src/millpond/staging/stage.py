"""Stage a source file: its bytes into the raw zone once, and a manifest that names them for a date.

An upload goes to a temporary name, is read back and compared, then renamed; the manifest is swapped
last, so a reader finds the former file or the new one, and never a part. A source file that is put
under `ds=D/` is always taken; the undated one only while the date has nothing (or with `restage`),
so that a backfill of an old date reads what that date read.
"""

import hashlib
import logging
import time
import uuid
from datetime import UTC, date, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from hdfs.util import HdfsError
from requests import RequestException

from millpond.catalog import zones
from millpond.catalog.datasets import Dataset
from millpond.catalog.settings import Settings
from millpond.errors import MillpondError
from millpond.lake.hdfs import Hdfs
from millpond.lake.manifests import (
    Manifest,
    add_manifest,
    find_manifest,
    read_manifest,
    write_manifest,
)
from millpond.staging.sources import CHUNK_BYTES, LocalCopy, detect_encoding, fetch

if TYPE_CHECKING:
    from hdfs.client import Client

log = logging.getLogger(__name__)

# An upload that has not grown for this long belongs to a process that was killed.
ABANDONED_SECONDS = 3600


def stage(
    dataset: Dataset, ds: date, *, settings: Settings, webhdfs: "Client", restage: bool
) -> Manifest:
    """Have the date's source file in the raw zone; the manifest that holds from now on.

    Raises:
        MillpondError: There is no source file, or HDFS does not take it now.
        BadInputError: The source file cannot be used.
    """
    hdfs = Hdfs(settings.hdfs_url)
    of_date = (hdfs, settings.root, dataset.name, ds)
    former = find_manifest(*of_date)
    with fetch(settings.data_dir, dataset, ds) as copy:
        replaces = copy.dated or restage
        if former and not replaces:
            return _kept(former, copy, ds)
        manifest = Manifest(
            path=zones.raw_file(settings.root, dataset.name, copy.sha256, dataset.file),
            bytes=copy.bytes,
            sha256=copy.sha256,
            encoding=_encoding(dataset, copy),
            source=copy.location,
            staged_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        upload(webhdfs, copy, manifest.path)
    if replaces:
        write_manifest(*of_date, manifest)
    elif not add_manifest(*of_date, manifest):
        # Another run has staged the date during the upload.
        return _kept(read_manifest(*of_date), copy, ds)
    log.info("staged %s as %s for %s: %d bytes", copy.location, manifest.path, ds, manifest.bytes)
    return manifest


def is_current(dataset: Dataset, ds: date, settings: Settings) -> bool:
    """Whether staging the date now would change nothing.

    Raises:
        MillpondError: There is no source file.
    """
    former = find_manifest(Hdfs(settings.hdfs_url), settings.root, dataset.name, ds)
    with fetch(settings.data_dir, dataset, ds) as copy:
        return former is not None and (former.sha256 == copy.sha256 or not copy.dated)


def _kept(former: Manifest, copy: LocalCopy, ds: date) -> Manifest:
    kept = f"kept {former.sha256[:4]}... of {ds}"
    if former.sha256 == copy.sha256:
        log.info("%s; the undated file is the same", kept)
    else:
        log.info("%s; the undated file now differs: restage=true takes it", kept)
    return former


def _encoding(dataset: Dataset, copy: LocalCopy) -> str:
    return dataset.encoding if dataset.encoding != "detect" else detect_encoding(copy.path)


def upload(webhdfs: "Client", copy: LocalCopy, path: str) -> None:
    """Have a copy's bytes at a path of the raw zone, whole or not at all.

    Raises:
        MillpondError: HDFS does not take them, or gives other bytes back.
    """
    target = PurePosixPath(path)
    temporary = str(target.with_name(f".{target.name}.{uuid.uuid4().hex}"))
    try:
        webhdfs.makedirs(str(target.parent))
        _remove_abandoned(webhdfs, target.parent)
        if _length(webhdfs, path) == copy.bytes:
            return
        webhdfs.upload(temporary, str(copy.path), chunk_size=CHUNK_BYTES)
        _compare(webhdfs, temporary, copy)
        _rename(webhdfs, temporary, path, copy.bytes)
    except (RequestException, HdfsError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise MillpondError(
            f"could not upload {copy.location} to {path}: {first_line}; "
            "`millpond doctor` says whether HDFS is well and has room"
        ) from error


def _rename(webhdfs: "Client", temporary: str, path: str, length: int) -> None:
    try:
        webhdfs.rename(temporary, path)
    except HdfsError:
        # Another date staged the same bytes at the same time: one copy is enough.
        if _length(webhdfs, path) != length:
            raise
        webhdfs.delete(temporary)


def _length(webhdfs: "Client", path: str) -> int | None:
    status: dict[str, Any] | None = webhdfs.status(path, strict=False)
    return None if status is None else int(status["length"])


def _compare(webhdfs: "Client", temporary: str, copy: LocalCopy) -> None:
    digest, length = hashlib.sha256(), 0
    with webhdfs.read(temporary, chunk_size=CHUNK_BYTES) as chunks:
        for chunk in chunks:
            digest.update(chunk)
            length += len(chunk)
    if (length, digest.hexdigest()) != (copy.bytes, copy.sha256):
        webhdfs.delete(temporary)
        raise MillpondError(
            f"HDFS gave back {length} bytes of {copy.location} with sha256 {digest.hexdigest()}, "
            f"not the {copy.bytes} with {copy.sha256} that were written; try again"
        )


def _remove_abandoned(webhdfs: "Client", folder: PurePosixPath) -> None:
    for name, status in webhdfs.list(str(folder), status=True):
        age = time.time() - status["modificationTime"] / 1000
        if name.startswith(".") and status["type"] == "FILE" and age > ABANDONED_SECONDS:
            webhdfs.delete(str(folder / name))
            log.info("removed %s, left by an upload that was killed", folder / name)
