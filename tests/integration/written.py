"""What a platform has written where others may read it: logs, tables, receipts, databases.

All but the places in which the name of a person belongs: the topic, the protected folder on HDFS,
the request log of the customer service, and the truth about made-up messages.
"""

import json
import os
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from millpond.catalog import zones
from millpond.cli.interactions import truth_file
from millpond.cluster import postgres
from millpond.cluster.config import airflow_home, postgres_socket_dir
from tests.integration.local_platform import Platform

SERVICE_LOG = "customer-service.jsonl"
# Readable by their owner alone; secrets are in these and nowhere else.
SECRET_FILES = ("airflow/airflow.cfg", "airflow/passwords.json", "airflow/secrets.json")
# How a file ends whose writer is done; another test's may be at it still.
WHOLE_PARQUET = b"PAR1"


def written(platform: Platform, application_ids: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """Each place and what is there, unpacked: the folder, HDFS, and the databases.

    Of the logs that applications leave on HDFS only those of `application_ids`.
    """
    yield from _on_disk(platform)
    yield from _on_hdfs(platform, application_ids)
    yield "postgresql", _databases(platform)


def places_of_secrets(platform: Platform, places: Mapping[str, bytes]) -> list[str]:
    """Where one of Airflow's secrets is to be read."""
    files = (airflow_home(platform.settings) / name for name in ("secrets.json", "passwords.json"))
    secrets = [value.encode() for file in files for value in json.loads(file.read_text()).values()]
    return sorted(
        place for place, content in places.items() if any(secret in content for secret in secrets)
    )


def logs_on_hdfs(platform: Platform, application_ids: Collection[str]) -> list[str]:
    """The paths of applications' container logs and of their events."""
    found = [*_paths(platform, "/yarn-logs"), *_paths(platform, "/spark-history")]
    return [path for path in found if any(id_ in path for id_ in application_ids)]


def _on_disk(platform: Platform) -> Iterator[tuple[str, bytes]]:
    home = platform.settings.home
    topic = f"kafka/{platform.settings.interactions_topic}-"
    # HDFS and the databases are read through their own doors.
    others = ("hdfs/data/", "postgres/", topic, SERVICE_LOG, truth_file(platform.settings).name)
    # Not rglob, which fails if the folder of an application that ends goes while it looks.
    files = (Path(folder, name) for folder, _, names in os.walk(home) for name in names)
    for file in files:
        place = str(file.relative_to(home))
        if not place.startswith(others):
            with suppress(FileNotFoundError):  # it has ended its life meanwhile
                yield from _content(file, place)


def _content(file: Path, place: str) -> Iterator[tuple[str, bytes]]:
    if file.is_file():
        yield place, file.read_bytes()


def _on_hdfs(platform: Platform, application_ids: Collection[str]) -> Iterator[tuple[str, bytes]]:
    root = platform.settings.root
    tables = [
        path for path in _paths(platform, root) if not path.startswith(f"{zones.personal(root)}/")
    ]
    for path in (*tables, *logs_on_hdfs(platform, application_ids)):
        content = platform.hdfs.read(path)
        if content is not None:
            yield f"hdfs:{path}", _unpacked(path, content)


def _paths(platform: Platform, folder: str) -> Iterator[str]:
    for entry in platform.hdfs._entries(folder):
        if entry.isdir:
            yield from _paths(platform, entry.path)  # nothing, if it has gone meanwhile
        else:
            yield entry.path


def _unpacked(path: str, content: bytes) -> bytes:
    if path.endswith(".parquet") and content.endswith(WHOLE_PARQUET):
        return str(pq.read_table(pa.BufferReader(content)).to_pylist()).encode()
    if path.endswith(".zstd"):
        return bytes(pa.CompressedInputStream(pa.BufferReader(content), "zstd").read())
    return content


def _databases(platform: Platform) -> bytes:
    server = ("-h", str(postgres_socket_dir(platform.settings)), "-p", postgres.PORT)
    command = [postgres.binary("pg_dumpall"), *server, "-U", "airflow"]
    return subprocess.run(command, capture_output=True, check=True).stdout
