"""Where a dataset's source file of a date is, and how its bytes are fetched.

For date D it is `<base>/<dataset>/ds=D/<file>` if that exists, else the undated
`<base>/<dataset>/<file>`.
"""

import hashlib
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import requests

from millpond.catalog.datasets import Dataset
from millpond.errors import BadInputError, MillpondError

CHUNK_BYTES = 1 << 20
# To connect, and between two pieces of an answer: a slow server is no reason to hang for ever.
TIMEOUT_SECONDS = (10, 60)

# Copies a location to a file; False if there is nothing.
Reader = Callable[[str, Path], bool]


@dataclass(frozen=True)
class LocalCopy:
    """A source file's bytes on this machine, as of one moment."""

    location: str
    dated: bool
    path: Path
    sha256: str

    @property
    def bytes(self) -> int:
        """Its length."""
        return self.path.stat().st_size


@contextmanager
def fetch(base: str, dataset: Dataset, ds: date) -> Iterator[LocalCopy]:
    """A private copy of the source file of a date, for as long as the context lasts.

    Raises:
        MillpondError: There is none, or it cannot be had now.
        BadInputError: It is empty, or not what its `.sha256` file says.
    """
    dated, undated = (
        f"{base}/{dataset.name}/ds={ds}/{dataset.file}",
        f"{base}/{dataset.name}/{dataset.file}",
    )
    read = _read_http if base.startswith(("http://", "https://")) else _read_file
    with TemporaryDirectory(prefix="millpond-stage-") as folder:
        copy = Path(folder) / dataset.file
        for location in (dated, undated):
            if read(location, copy):
                _refuse_unusable(read, location, copy, dataset, ds)
                yield LocalCopy(location, location == dated, copy, hash_file(copy))
                return
    raise MillpondError(
        f"no source file of {dataset.name} for {ds}: looked for {dated} and {undated}; "
        "put one there or set MILLPOND_DATA_DIR"
    )


def hash_file(path: Path) -> str:
    """A file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_file(location: str, copy: Path) -> bool:
    source = Path(location)
    try:
        before = source.stat()
        with source.open("rb") as file, copy.open("wb") as target:
            while chunk := file.read(CHUNK_BYTES):
                target.write(chunk)
        after = source.stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise MillpondError(
            f"could not copy {location}: {error.strerror}; make it a file that Airflow may read"
        ) from error
    if (before.st_size, before.st_mtime_ns, before.st_ino) != (
        after.st_size,
        after.st_mtime_ns,
        after.st_ino,
    ):
        raise MillpondError(
            f"{location} changed while it was read; put files in place by renaming, then try again"
        )
    return True


def _read_http(location: str, copy: Path) -> bool:
    try:
        with requests.get(location, stream=True, timeout=TIMEOUT_SECONDS) as answer:
            if answer.status_code == requests.codes.not_found:
                return False
            answer.raise_for_status()
            with copy.open("wb") as target:
                for chunk in answer.iter_content(CHUNK_BYTES):
                    target.write(chunk)
    except (requests.RequestException, OSError) as error:
        raise MillpondError(f"could not fetch {location}: {error}; try again") from error
    announced = answer.headers.get("Content-Length")
    # A compressed answer announces another length than that of what it holds.
    if announced and "Content-Encoding" not in answer.headers:
        _refuse_short(location, int(announced), copy.stat().st_size)
    return True


def _refuse_short(location: str, announced: int, got: int) -> None:
    if announced != got:
        raise MillpondError(f"{location} has {announced} bytes and {got} came; try again")


def _refuse_unusable(read: Reader, location: str, copy: Path, dataset: Dataset, ds: date) -> None:
    if copy.stat().st_size == 0:
        raise BadInputError(
            f"the source file of {dataset.name} for {ds} is empty: {location} has 0 bytes; "
            "replace it and run the date again"
        )
    sums = copy.with_name(f"{copy.name}.sha256")
    if read(f"{location}.sha256", sums):
        declared = sums.read_text(errors="replace").split()[:1]
        found = hash_file(copy)
        if declared != [found]:
            raise BadInputError(
                f"{location} has sha256 {found}, and {location}.sha256 says "
                f"{declared[0] if declared else 'nothing'}; one of the two is not whole: replace it"
            )


def detect_encoding(path: Path) -> str:
    """UTF-8 if all of a text file decodes as that, else windows-1252."""
    decoder = getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "windows-1252"
    return "UTF-8"
