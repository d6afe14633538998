"""What staging does when HDFS gives other bytes back, or another date is there first.

WebHDFS is a stand-in here, for what a real one does not do on demand (tests/integration has that).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hdfs.util import HdfsError

from millpond.errors import MillpondError
from millpond.staging.sources import LocalCopy, hash_file
from millpond.staging.stage import ABANDONED_SECONDS, upload

RAW = "/millpond/raw/ratings"
TARGET = f"{RAW}/0123-u.data"


class Shelf:
    """A raw zone; `spoil` is what a written file is read back as, `at_once` what another stages."""

    def __init__(self, spoil: bytes | None = None, at_once: bytes | None = None) -> None:
        self.files: dict[str, bytes] = {}
        self.ages: dict[str, float] = {}
        self._spoil, self._at_once = spoil, at_once

    def makedirs(self, _: str) -> None:
        pass

    def list(self, folder: str, *, status: bool) -> list[tuple[str, dict[str, Any]]]:
        assert status
        assert folder == RAW
        return [
            (
                PurePosixPath(path).name,
                {
                    "type": "FILE",
                    "modificationTime": (time.time() - self.ages.get(path, 0)) * 1000,
                },
            )
            for path in self.files
        ]

    def status(self, path: str, *, strict: bool) -> dict[str, int] | None:
        assert not strict
        return {"length": len(self.files[path])} if path in self.files else None

    def upload(self, path: str, source: str, *, chunk_size: int) -> None:
        self.files[path] = Path(source).read_bytes()

    @contextmanager
    def read(self, path: str, *, chunk_size: int) -> Iterator[Iterator[bytes]]:
        yield iter([self._spoil or self.files[path]])

    def rename(self, source: str, target: str) -> None:
        if self._at_once is not None:
            self.files[target] = self._at_once
            raise HdfsError("destination exists")
        self.files[target] = self.files.pop(source)

    def delete(self, path: str) -> None:
        del self.files[path]


@pytest.fixture
def copy(tmp_path: Path) -> LocalCopy:
    file = tmp_path / "u.data"
    file.write_bytes(b"content")
    return LocalCopy("/data/u.data", dated=False, path=file, sha256=hash_file(file))


def put(shelf: Shelf, copy: LocalCopy) -> None:
    webhdfs: Any = shelf
    upload(webhdfs, copy, TARGET)


@pytest.mark.parametrize("spoil", [b"contend", b"conten"])
def test_what_comes_back_otherwise_is_refused_and_removed(copy: LocalCopy, spoil: bytes) -> None:
    shelf = Shelf(spoil=spoil)
    with pytest.raises(MillpondError, match=rf"HDFS gave back {len(spoil)} bytes of /data/u.data"):
        put(shelf, copy)
    assert shelf.files == {}


def test_the_same_bytes_of_another_date_at_the_same_time_are_enough(copy: LocalCopy) -> None:
    shelf = Shelf(at_once=b"content")
    put(shelf, copy)
    assert shelf.files == {TARGET: b"content"}


def test_another_file_in_its_place_is_not(copy: LocalCopy) -> None:
    with pytest.raises(MillpondError, match=r"could not upload .*: destination exists"):
        put(Shelf(at_once=b"something else"), copy)


def test_what_a_killed_upload_left_is_removed_once_it_is_old(copy: LocalCopy) -> None:
    shelf = Shelf()
    left, growing = f"{RAW}/.0123-u.data.killed", f"{RAW}/.0123-u.data.growing"
    staged = f"{RAW}/4567-u.data"
    shelf.files = {left: b"con", growing: b"con", staged: b"of a former date"}
    old, young = ABANDONED_SECONDS + 60, ABANDONED_SECONDS - 60
    shelf.ages = {left: old, growing: young, staged: old}
    put(shelf, copy)
    assert sorted(shelf.files) == [growing, TARGET, staged]
