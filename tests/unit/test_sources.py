"""Where a source file is, and what makes it unusable; over http as in a folder."""

import hashlib
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import requests

from millpond.catalog.datasets import RATINGS
from millpond.errors import BadInputError, MillpondError
from millpond.staging import sources
from millpond.staging.sources import detect_encoding, fetch
from tests.unit.answers import response

D = date(2026, 11, 22)
BASE = "https://data.example/daily"


def put(folder: Path, content: bytes, name: str = "u.data", *, dated: bool = False) -> Path:
    file = folder.joinpath("ratings", *([f"ds={D}"] if dated else []), name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def fetched(base: Path | str) -> tuple[bytes, bool]:
    with fetch(str(base), RATINGS, D) as copy:
        assert copy.sha256 == hashlib.sha256(copy.path.read_bytes()).hexdigest()
        assert copy.bytes == len(copy.path.read_bytes())
        return copy.path.read_bytes(), copy.dated


def test_the_file_under_the_date_wins(tmp_path: Path) -> None:
    put(tmp_path, b"undated")
    assert fetched(tmp_path) == (b"undated", False)
    put(tmp_path, b"dated", dated=True)
    assert fetched(tmp_path) == (b"dated", True)


def test_a_copy_is_gone_when_it_has_been_used(tmp_path: Path) -> None:
    put(tmp_path, b"content")
    with fetch(str(tmp_path), RATINGS, D) as copy:
        path = copy.path
        assert path.exists()
    assert not path.parent.exists()


def test_a_file_that_cannot_be_read_is_not_an_absent_one(tmp_path: Path) -> None:
    put(tmp_path, b"undated")
    (tmp_path / "ratings" / f"ds={D}" / "u.data").mkdir(parents=True)
    with pytest.raises(MillpondError, match=r"could not copy .*/u.data: Is a dir.*; make it a"):
        fetched(tmp_path)


def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put(tmp_path, b"first half")
    grown = iter([file.stat()])
    real_stat = Path.stat

    def stat_then_grow(self: Path, **options: Any) -> os.stat_result:
        found = real_stat(self, **options)
        if self == file and next(grown, None):
            with file.open("ab") as writer:
                writer.write(b", second half")
        return found

    monkeypatch.setattr(Path, "stat", stat_then_grow)
    with pytest.raises(MillpondError, match="changed while it was read; put files in place by"):
        fetched(tmp_path)


def test_a_sum_beside_the_file_is_held_to(tmp_path: Path) -> None:
    put(tmp_path, b"content")
    right = hashlib.sha256(b"content").hexdigest()
    put(tmp_path, f"{right}  u.data\n".encode(), "u.data.sha256")
    assert fetched(tmp_path)[0] == b"content"
    put(tmp_path, b"0000  u.data\n", "u.data.sha256")
    with pytest.raises(BadInputError, match=rf"has sha256 {right}, and .*u.data.sha256 says 0000"):
        fetched(tmp_path)
    put(tmp_path, b"", "u.data.sha256")
    with pytest.raises(BadInputError, match="says nothing; one of the two is not whole"):
        fetched(tmp_path)


Page = tuple[int, bytes, dict[str, str]]


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> dict[str, Page | Exception]:
    """What a server has, by the end of the address; all else is 404."""
    pages: dict[str, Page | Exception] = {}

    def get(url: str, **options: Any) -> requests.Response:
        assert options["timeout"]
        page = pages.get(url.removeprefix(f"{BASE}/ratings/"), (404, b"", {}))
        if isinstance(page, Exception):
            raise page
        status, content, headers = page
        return response(requests.Request("GET", url).prepare(), status, content, headers)

    monkeypatch.setattr(requests, "get", get)
    return pages


def test_over_http_the_same_file_is_found(web: dict[str, Page | Exception]) -> None:
    web["u.data"] = (200, b"undated", {"Content-Length": "7"})
    assert fetched(BASE) == (b"undated", False)
    web[f"ds={D}/u.data"] = (200, b"dated", {})
    assert fetched(BASE) == (b"dated", True)


def test_over_http_only_404_means_absent(web: dict[str, Page | Exception]) -> None:
    web["u.data"] = (200, b"undated", {})
    web[f"ds={D}/u.data"] = (503, b"", {})
    with pytest.raises(MillpondError, match="could not fetch .*503 Server Error.*; try again"):
        fetched(BASE)
    web[f"ds={D}/u.data"] = requests.ConnectTimeout("too slow")
    with pytest.raises(MillpondError, match="could not fetch .*too slow; try again"):
        fetched(BASE)


def test_over_http_half_an_answer_is_refused(web: dict[str, Page | Exception]) -> None:
    web["u.data"] = (200, b"half", {"Content-Length": "8"})
    with pytest.raises(MillpondError, match=r"u.data has 8 bytes and 4 came; try again"):
        fetched(BASE)


def test_the_length_of_a_compressed_answer_is_not_that_of_the_file(
    web: dict[str, Page | Exception],
) -> None:
    web["u.data"] = (200, b"content", {"Content-Length": "3", "Content-Encoding": "br"})
    assert fetched(BASE) == (b"content", False)


def test_without_any_file_the_sentence_says_where_it_looked(
    web: dict[str, Page | Exception],
) -> None:
    assert web == {}
    with pytest.raises(MillpondError) as raised:
        fetched(BASE)
    assert str(raised.value) == (
        f"no source file of ratings for 2026-11-22: looked for {BASE}/ratings/ds=2026-11-22/u.data "
        f"and {BASE}/ratings/u.data; put one there or set MILLPOND_DATA_DIR"
    )


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    put(tmp_path, b"")
    with pytest.raises(
        BadInputError, match="is empty: .* has 0 bytes; replace it and run the date"
    ):
        fetched(tmp_path)


@pytest.mark.parametrize(
    ("make", "encoding"),
    [
        (lambda chunk: b"plain", "UTF-8"),
        (lambda chunk: "é".encode(), "UTF-8"),
        (lambda chunk: b"\x93quoted\x94", "windows-1252"),
        # A character that lies across two pieces of the file is one character.
        (lambda chunk: b"a" * (chunk - 1) + "é".encode(), "UTF-8"),
        (lambda chunk: "é".encode()[:1], "windows-1252"),  # cut off in mid-character
    ],
)
def test_text_is_utf_8_if_all_of_it_decodes(
    tmp_path: Path, make: Callable[[int], bytes], encoding: str
) -> None:
    file = tmp_path / "book.txt"
    file.write_bytes(make(sources.CHUNK_BYTES))
    assert detect_encoding(file) == encoding
