"""Staging into the real HDFS: the four rules of which file a date reads, and killed uploads."""

import hashlib
import logging
import multiprocessing
import signal
import time
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hdfs import InsecureClient

from millpond.catalog.datasets import RATINGS
from millpond.errors import BadInputError, MillpondError
from millpond.lake.manifests import Manifest, find_manifest
from millpond.staging import stage as staging
from millpond.staging.sources import CHUNK_BYTES, LocalCopy
from millpond.staging.stage import stage
from tests.integration.local_platform import Platform
from tests.waiting import until


class Stager:
    """Staging of ratings from a folder of its own into a root of its own."""

    def __init__(self, platform: Platform, folder: Path) -> None:
        environ = {"data_dir": str(folder), "root": f"/test{folder}"}
        self.settings = type(platform.settings)(**{**vars(platform.settings), **environ})
        port = platform.settings.port("namenode-http")
        self.webhdfs = InsecureClient(f"http://127.0.0.1:{port}", user="root")
        self.folder = folder

    def put(self, content: bytes, ds: date | None = None) -> None:
        parts = ["ratings"] if ds is None else ["ratings", f"ds={ds}"]
        file = self.folder.joinpath(*parts, "u.data")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def stage(self, ds: date, *, restage: bool = False) -> Manifest:
        return stage(RATINGS, ds, settings=self.settings, webhdfs=self.webhdfs, restage=restage)

    def staged(self, platform: Platform, ds: date) -> bytes | None:
        manifest = find_manifest(platform.hdfs, self.settings.root, "ratings", ds)
        return None if manifest is None else platform.hdfs.read(manifest.path)

    def files(self, platform: Platform) -> list[str]:
        names = platform.hdfs.names(f"{self.settings.root}/raw/ratings")
        return [name for name in names if not name.startswith("ds=")]


@pytest.fixture
def stager(platform: Platform, tmp_path: Path) -> Stager:
    return Stager(platform, tmp_path)


D1, D2 = date(2026, 11, 1), date(2026, 11, 2)


def test_bytes_arrive_as_they_were_once_for_all_dates(platform: Platform, stager: Stager) -> None:
    content = bytes(range(256)) * 9000  # more than two chunks, every byte
    stager.put(content)
    manifests = [stager.stage(D1), stager.stage(D2)]
    sha256 = hashlib.sha256(content).hexdigest()
    assert {(m.sha256, m.bytes) for m in manifests} == {(sha256, len(content))}
    assert stager.staged(platform, D1) == stager.staged(platform, D2) == content
    assert stager.files(platform) == [f"{sha256[:16]}-u.data"]


def test_a_dated_file_wins_and_its_new_bytes_are_taken(platform: Platform, stager: Stager) -> None:
    stager.put(b"undated")
    stager.put(b"dated", D1)
    stager.stage(D1)
    assert stager.staged(platform, D1) == b"dated"
    stager.put(b"dated, corrected", D1)
    stager.stage(D1)
    assert stager.staged(platform, D1) == b"dated, corrected"


def test_a_date_keeps_the_undated_file_that_it_read(
    platform: Platform, stager: Stager, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    stager.put(b"monday")
    stager.stage(D1)
    stager.put(b"tuesday")
    stager.stage(D1)
    stager.stage(D2)
    assert stager.staged(platform, D1) == b"monday"
    assert stager.staged(platform, D2) == b"tuesday"
    begins = hashlib.sha256(b"monday").hexdigest()[:4]
    assert (
        f"kept {begins}... of 2026-11-01; the undated file now differs: restage=true takes it"
        in caplog.messages
    )
    stager.stage(D1, restage=True)
    assert stager.staged(platform, D1) == b"tuesday"


def test_an_undated_file_never_takes_the_place_of_what_is_staged_meanwhile(
    platform: Platform, stager: Stager, monkeypatch: pytest.MonkeyPatch
) -> None:
    stager.put(b"undated")
    to_hdfs = staging.upload

    def upload(webhdfs: InsecureClient, copy: LocalCopy, path: str) -> None:
        monkeypatch.setattr(staging, "upload", to_hdfs)
        stager.put(b"dated", D1)
        stager.stage(D1)  # another run, by somebody who has put the date's own file there
        to_hdfs(webhdfs, copy, path)

    monkeypatch.setattr(staging, "upload", upload)
    staged = stager.stage(D1)
    assert stager.staged(platform, D1) == b"dated"
    assert staged.sha256 == hashlib.sha256(b"dated").hexdigest()
    names = platform.hdfs.names(f"{stager.settings.root}/raw/ratings")
    assert [name for name in names if name.startswith(".")] == []


def test_without_a_file_the_sentence_says_where_it_looked(stager: Stager) -> None:
    with pytest.raises(MillpondError) as raised:
        stager.stage(D1)
    base = f"{stager.folder}/ratings"
    assert str(raised.value) == (
        f"no source file of ratings for 2026-11-01: looked for {base}/ds=2026-11-01/u.data and "
        f"{base}/u.data; put one there or set MILLPOND_DATA_DIR"
    )


def test_an_empty_file_is_refused_and_the_former_stays(platform: Platform, stager: Stager) -> None:
    stager.put(b"something", D1)
    stager.stage(D1)
    stager.put(b"", D1)
    with pytest.raises(BadInputError, match="the source file of ratings for 2026-11-01 is empty"):
        stager.stage(D1)
    assert stager.staged(platform, D1) == b"something"


def _stage_a_chunk(platform: Platform, folder: Path) -> None:
    """Stand still for ever once the first chunk of the upload has been sent."""

    def stand_still(_: str, read: int) -> None:
        if read > CHUNK_BYTES:
            time.sleep(600)

    stager = Stager(platform, folder)
    stager.webhdfs.upload = partial(stager.webhdfs.upload, progress=stand_still)
    stager.stage(D1)


def test_an_upload_killed_midway_leaves_nothing_that_is_read_and_the_next_works(
    platform: Platform, stager: Stager
) -> None:
    big = bytes(3 * CHUNK_BYTES)
    stager.put(b"before", D1)
    stager.stage(D1)
    stager.put(big, D1)
    spawn: Any = multiprocessing.get_context("spawn")
    uploading = spawn.Process(target=_stage_a_chunk, args=(platform, stager.folder))
    uploading.start()
    until(lambda: any(name.startswith(".") for name in stager.files(platform)))
    assert uploading.pid is not None
    uploading.kill()
    uploading.join()
    assert uploading.exitcode == -signal.SIGKILL

    assert stager.staged(platform, D1) == b"before"
    stager.stage(D1)
    assert stager.staged(platform, D1) == big
