"""The real platform, once for all tests on it, beside any other that runs.

It has a folder, a block of ports and source files of its own, and leaves nothing behind. With
MILLPOND_TEST_HOME set it lives there and keeps running, so that the next test run starts at once.
Several workers share it; a test that disturbs the others is marked `alone`.
"""

import itertools
import os
import shutil
import sys
from collections.abc import Generator, Iterator
from datetime import date, timedelta

import pytest
from pyspark.sql import SparkSession

from millpond.catalog.analyses import all_tables
from millpond.catalog.settings import Settings
from millpond.cluster.config import spark_environment
from millpond.lake.tables import StoredTable
from tests.integration import sharing
from tests.integration.local_platform import Platform, environment, free_port_base


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Have each test on the platform wait for its turn, its fixtures included."""
    if "platform" not in getattr(item, "fixturenames", ()):
        return (yield)
    is_alone = item.get_closest_marker("alone") is not None
    with sharing.turn(sharing.ALONE if is_alone else sharing.SHARED):
        return (yield)


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    home, is_kept = sharing.folder(), "MILLPOND_TEST_HOME" in os.environ
    with sharing.locked("users", sharing.SHARED) as users:
        running = started()
        yield running
        if is_kept or not sharing.is_last(users):
            return
        stopped = running.millpond("down")
        assert stopped.returncode == 0, stopped.stderr
        left = running.processes()
        shutil.rmtree(home)
        for lock in home.parent.glob(f"{home.name}-*.lock"):
            lock.unlink()
        assert left == []


def started() -> Platform:
    """The platform, which the first worker starts and the others find."""
    home = sharing.folder()
    data, ports = home / "data", home / "port-base"
    with sharing.locked("start", sharing.ALONE):
        data.mkdir(parents=True, exist_ok=True)
        if not ports.exists():
            ports.write_text(str(free_port_base()))
        environ = environment(home, int(ports.read_text()), data)
        running = Platform(Settings.from_env(environ), environ)
        up = running.millpond("up")
    assert up.returncode == 0, up.stderr
    return running


@pytest.fixture(scope="session")
def days(platform: Platform) -> Iterator[date]:
    """Dates that no other test uses, and that a platform that was kept has never published."""
    at = (platform.settings.hdfs_url, platform.settings.root)
    tables = [StoredTable(table, *at) for table in all_tables()]
    first = date(2020 - 10 * sharing.worker(), 1, 1)
    every_day = (first + timedelta(n) for n in itertools.count())
    return (ds for ds in every_day if not any(table.number(ds) for table in tables))


@pytest.fixture
def day(days: Iterator[date]) -> date:
    """One such date."""
    return next(days)


@pytest.fixture(scope="session")
def spark(platform: Platform) -> Iterator[SparkSession]:
    """A session in this process, configured as on YARN, against the platform's HDFS."""
    with pytest.MonkeyPatch.context() as patched:
        # Receipts name the version of the program, which a test worker has not.
        patched.setattr(sys, "argv", [__file__])
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
        gateway = session.sparkContext._gateway
        assert gateway is not None
        session.stop()
        # Its JVM would live as long as this worker, and be found by the one that ends the platform.
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait(60)
