"""The real platform, once for all integration tests, beside any other that runs.

It has a folder, a block of ports and source files of its own, and leaves nothing behind. With
MILLPOND_TEST_HOME set it lives there and keeps running, so that the next test run starts at once.
"""

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from millpond.catalog.settings import Settings
from millpond.cluster.config import spark_environment
from tests.integration.local_platform import Platform, environment, free_port_base


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
