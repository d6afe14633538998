"""The real platform, once for all integration tests, beside any other that runs.

It has a folder, a block of ports and source files of its own, and leaves nothing behind. With
MILLPOND_TEST_HOME set it lives there and keeps running, so that the next test run starts at once.
"""

import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import psutil
import pytest
from pyspark.sql import SparkSession

from millpond.catalog.settings import PORT_OFFSETS, Settings
from millpond.cluster.config import spark_environment, venv_bin
from millpond.lake.hdfs import Hdfs


@dataclass(frozen=True)
class Platform:
    """A running platform and the command line that speaks to it."""

    settings: Settings
    environ: dict[str, str]

    @property
    def data(self) -> Path:
        """Its source files."""
        return Path(self.settings.data_dir)

    @property
    def hdfs(self) -> Hdfs:
        """Its NameNode."""
        return Hdfs(self.settings.hdfs_url)

    def millpond(self, *arguments: str, timeout: float = 420) -> subprocess.CompletedProcess[str]:
        """What a person's `millpond ...` prints and how it ends."""
        return subprocess.run(
            [venv_bin() / "millpond", *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def processes(self) -> list[psutil.Process]:
        """Every process that names this platform's folder, but those that this test run started."""
        mine = psutil.Process().children(recursive=True)
        return [p for p in psutil.process_iter() if p not in mine and self._owns(p)]

    def _owns(self, process: psutil.Process) -> bool:
        try:
            home = str(self.settings.home)
            return home in process.environ().get("MILLPOND_PART_HOME", "") or home in " ".join(
                process.cmdline()
            )
        except psutil.Error:
            return False


def free_port_base() -> int:
    """The first block of ports that nobody listens on, below those the system hands out."""
    for base in range(20_000, 32_000, 100):
        if all(_is_free(base + offset) for offset in PORT_OFFSETS.values()):
            return base
    raise AssertionError("no block of 100 ports is free between 20000 and 32000")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def environment(home: Path, port_base: int, data: Path) -> dict[str, str]:
    """A person's environment, pointed at a platform."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("MILLPOND_")}
    return {
        **mine,
        "MILLPOND_HOME": str(home),
        "MILLPOND_PORT_BASE": str(port_base),
        "MILLPOND_DATA_DIR": str(data),
    }


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    kept = os.environ.get("MILLPOND_TEST_HOME")
    # A Unix socket's path is short, and so is the folder it lies in.
    home = Path(kept) if kept else Path(tempfile.mkdtemp(prefix="mp-", dir="/tmp"))
    ports = home / "port-base"
    home.mkdir(exist_ok=True)
    if not ports.exists():
        ports.write_text(str(free_port_base()))
    data = home / "data"
    data.mkdir(exist_ok=True)
    environ = environment(home, int(ports.read_text()), data)
    running = Platform(Settings.from_env(environ), environ)
    started = running.millpond("up")
    assert started.returncode == 0, started.stderr
    yield running
    if not kept:
        stopped = running.millpond("down")
        assert stopped.returncode == 0, stopped.stderr
        left = running.processes()
        shutil.rmtree(home)
        assert left == []


@pytest.fixture(scope="session")
def days() -> Iterator[date]:
    """Dates that no other test uses."""
    return (date(2020, 1, 1) + timedelta(n) for n in itertools.count())


@pytest.fixture
def day(platform: Platform, days: Iterator[date]) -> date:
    """A date that has never been published."""
    return next(
        ds for ds in days if not platform.hdfs.names(f"/millpond/receipts/clean_ratings/ds={ds}")
    )


@pytest.fixture(scope="session")
def spark(platform: Platform) -> Iterator[SparkSession]:
    """A session in this process, configured as on YARN, against the platform's HDFS."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in spark_environment(platform.settings).items():
            patched.setenv(name, value)
        session = (
            SparkSession.builder.master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.eventLog.enabled", "false")
            .config("spark.sql.session.timeZone", "UTC")
            .getOrCreate()
        )
        yield session
        session.stop()
