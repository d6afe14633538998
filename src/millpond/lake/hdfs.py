"""Small files on HDFS: read, created once, or replaced whole."""

import json
import re
import uuid
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from hdfs_native import Client, FileStatus, WriteOptions

from millpond.errors import MillpondError

# hdfs-native has no class of its own: what the NameNode refuses comes as RuntimeError.
TROUBLE = (OSError, RuntimeError)

# By default a NameNode that is not there is tried for 172 s (measured); whoever waits at a prompt
# wants to know at once, and a task has retries of its own. A failover takes two attempts.
QUICK_REFUSAL = {
    "dfs.client.failover.max.attempts": "3",
    "dfs.client.failover.sleep.base.millis": "300",
    "dfs.client.failover.sleep.max.millis": "1000",
}


@dataclass(frozen=True)
class File:
    """A file on HDFS: its length in bytes, its last change in epoch milliseconds."""

    path: str
    length: int
    modified: int


@dataclass(frozen=True)
class Folder:
    """A folder on HDFS: its last change in epoch milliseconds."""

    path: str
    modified: int


class Hdfs:
    """An HDFS by its URL (`hdfs://host:port`, or a nameservice of HADOOP_CONF_DIR)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = Client(url, QUICK_REFUSAL)

    def read(self, path: str) -> bytes | None:
        """The bytes of a file; None if there is no such file."""
        try:
            with self._client.read(path) as file:
                return bytes(file.read())
        except FileNotFoundError:
            return None
        except TROUBLE as error:
            raise self._trouble("read", path, error) from error

    def read_json(self, path: str) -> Any:
        """The value of a JSON file; None if there is none, or its writer died midway."""
        return whole_json(self.read(path))

    def create(self, path: str, content: bytes) -> bool:
        """Write a new file; False, and nothing written, if the path exists already."""
        try:
            with self._client.create(path, WriteOptions(create_parent=True)) as file:
                file.write(content)
        except FileExistsError:
            return False
        except TROUBLE as error:
            raise self._trouble("create", path, error) from error
        return True

    def replace(self, path: str, content: bytes) -> None:
        """Make `content` the file's bytes: a reader sees the old file whole, or the new."""
        temporary = self._beside(path, content)
        try:
            self._client.rename(temporary, path, overwrite=True)
        except TROUBLE as error:
            raise self._trouble("replace", path, error) from error

    def add(self, path: str, content: bytes) -> bool:
        """Have a new file whole at once, unlike `create`; False if the path exists already."""
        temporary = self._beside(path, content)
        try:
            self._client.rename(temporary, path)
        except FileExistsError:
            self.remove(temporary)
            return False
        except TROUBLE as error:
            raise self._trouble("add", path, error) from error
        return True

    def _beside(self, path: str, content: bytes) -> str:
        """The path of a hidden file in the same folder, with these bytes."""
        target = PurePosixPath(path)
        temporary = str(target.with_name(f".{target.name}.{uuid.uuid4().hex}"))
        self.create(temporary, content)
        return temporary

    def names(self, folder: str) -> list[str]:
        """The names of the entries of a folder, sorted; empty if there is no such folder."""
        return [PurePosixPath(entry.path).name for entry in self._entries(folder)]

    def files(self, folder: str) -> list[File]:
        """The files of a folder by name, without those whose name begins with a dot or underscore.

        Spark writes such names beside its data.
        """
        return [
            File(entry.path, entry.length, entry.modification_time)
            for entry in self._entries(folder)
            if not entry.isdir and PurePosixPath(entry.path).name[0] not in "._"
        ]

    def folders(self, folder: str) -> list[Folder]:
        """The folders in a folder, by name; empty if there is no such folder."""
        return [
            Folder(entry.path, entry.modification_time)
            for entry in self._entries(folder)
            if entry.isdir
        ]

    def remove(self, path: str) -> None:
        """Remove a file, or a folder and all that is in it."""
        try:
            self._client.delete(path, recursive=True)
        except TROUBLE as error:
            raise self._trouble("remove", path, error) from error

    def _entries(self, folder: str) -> list[FileStatus]:
        try:
            entries = list(self._client.list_status(folder))
        except FileNotFoundError:
            return []
        except TROUBLE as error:
            raise self._trouble("list", folder, error) from error
        return sorted(entries, key=lambda entry: entry.path)

    def _trouble(self, verb: str, path: str, error: Exception) -> MillpondError:
        return MillpondError(
            f"could not {verb} {path} on {self.url}: {_first_line(error)}; "
            "`millpond doctor` says whether the NameNode and the DataNode are well"
        )


def whole_json(content: bytes | None) -> Any:
    """The value of a JSON file's bytes; None if there are none, or its writer died midway."""
    try:
        return None if content is None else json.loads(content)
    except ValueError:
        return None


def _first_line(error: Exception) -> str:
    """What the NameNode said: the class and the first line, without Java's stack."""
    if said := re.search(r'RPCError\("(?:\w+[.$])*(\w+)", "(.*?)(?:\\n|"\)?$)', str(error)):
        return f"{said[1]}: {said[2]}"
    return str(error).splitlines()[0]
