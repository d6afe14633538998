"""The real platform, once for all tests on it, beside any other that runs.

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

from millpond.catalog.analyses import all_tables
from millpond.catalog.settings import Settings
from millpond.cluster.config import spark_environment
from millpond.lake.tables import StoredTable
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
def days(platform: Platform) -> Iterator[date]:
    """Dates that no other test uses, and that a platform that was kept has never published."""
    at = (platform.settings.hdfs_url, platform.settings.root)
    tables = [StoredTable(table, *at) for table in all_tables()]
    every_day = (date(2020, 1, 1) + timedelta(n) for n in itertools.count())
    return (ds for ds in every_day if not any(table.number(ds) for table in tables))


@pytest.fixture
def day(days: Iterator[date]) -> date:
    """One such date."""
    return next(days)


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
