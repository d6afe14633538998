"""Parts of the platform that die or refuse while a task's application is held."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from millpond.cluster import processes
from tests.faults.holding import Held, Hold, until
from tests.integration.local_platform import Platform
from tests.integration.test_trouble import dfsadmin

pytestmark = pytest.mark.alone


def kill(platform: Platform, part: str) -> None:
    """End a part as a power cut would; what served it is left alone."""
    main = processes.main_processes(platform.settings.home)[part]
    main.kill()
    psutil.wait_procs([main], 10)


def up(platform: Platform) -> None:
    """Start what is missing."""
    started = platform.millpond("up")
    assert started.returncode == 0, started.stderr


def says_at_first(held: Held, words: str) -> None:
    """The first try fails, and its log has the words."""
    held.fails()
    held.says(words, 1)


@pytest.mark.case(4, slow=True)
def test_a_nodemanager_that_dies_leaves_one_publication(platform: Platform, hold: Hold) -> None:
    held = hold()
    held.running()
    kill(platform, "nodemanager")
    up(platform)
    held.release(3)
    held.succeeds()
    held.published(3)
    assert len(held.applications()) <= 2


@pytest.mark.case(5, slow=True)
def test_a_resourcemanager_that_remembers_goes_on_with_the_application(
    platform: Platform, hold: Hold
) -> None:
    held = hold()
    first = held.running()
    kill(platform, "resourcemanager")
    up(platform)
    held.release(3)
    held.reaches("success", attempt=1)
    assert held.published(3).application_id == first.id
    held.says("no ResourceManager answers")


@pytest.mark.case(5, slow=True)
def test_one_that_has_forgotten_is_decided_by_the_receipt(platform: Platform, hold: Hold) -> None:
    held = hold()
    first = held.running()
    kill(platform, "resourcemanager")
    shutil.rmtree(platform.settings.home / "yarn" / "state")
    up(platform)
    held.release(3)
    held.succeeds()
    published = held.published(3)
    # It had published before it was ended, or another one was submitted: once, not without end.
    assert len(held.applications()) == (0 if published.application_id == first.id else 1)


@pytest.mark.case(6, slow=True)
def test_a_scheduler_that_dies_leaves_one_publication(platform: Platform, hold: Hold) -> None:
    held = hold()
    first = held.running()
    kill(platform, "airflow-scheduler")
    held.age_schedulers()
    up(platform)
    # The new one gives up the attempt that it has not begun, though its process goes on.
    held.reaches("running", attempt=2)
    held.says(f"adopting {first.id}")
    held.release(3)
    held.succeeds()
    assert held.published(3).application_id == first.id
    assert len(held.applications()) == 1


@pytest.fixture
def safe_mode(platform: Platform) -> Iterator[None]:
    dfsadmin(platform, "-safemode", "enter")
    yield
    dfsadmin(platform, "-safemode", "leave")


@pytest.mark.case(13, slow=True)
@pytest.mark.usefixtures("safe_mode")
def test_a_namenode_in_safe_mode_is_named_and_waited_for(platform: Platform, hold: Hold) -> None:
    held = hold()
    says_at_first(held, "safe mode")
    dfsadmin(platform, "-safemode", "leave")
    held.release(3)
    held.succeeds()
    held.published(3)
    assert len(held.applications()) == 1


@pytest.mark.case(13, slow=True)
@pytest.mark.parametrize("is_committed", [False, True], ids=["before", "after"])
def test_a_namenode_that_dies_around_the_commit_leaves_one_publication(
    platform: Platform, hold: Hold, *, is_committed: bool
) -> None:
    held = hold()
    held.running()
    if is_committed:
        held.release(3)
        until(lambda: held.table.number(held.ds))
    kill(platform, "namenode")
    up(platform)
    held.release(3)
    held.succeeds()
    held.published(3)
    if not is_committed:
        says_at_first(held, "`millpond doctor` says whether the NameNode")


@pytest.mark.case(14, slow=True)
def test_a_datanode_that_is_down_is_named_and_waited_for(platform: Platform, hold: Hold) -> None:
    kill(platform, "datanode")
    held = hold()
    says_at_first(held, "All DataNodes failed; `millpond status` says whether HDFS is up")
    up(platform)
    held.release(3)
    held.succeeds()
    held.published(3)


@contextmanager
def quota(platform: Platform, folder: str) -> Iterator[None]:
    """While inside, nothing can be added below a folder."""
    dfsadmin(platform, "-setQuota", "1", folder)
    try:
        yield
    finally:
        dfsadmin(platform, "-clrQuota", folder)


@pytest.mark.case(14, slow=True)
def test_a_full_quota_is_named_and_nothing_is_published(platform: Platform, hold: Hold) -> None:
    held = hold()
    held.running()
    with quota(platform, held.table.url.removeprefix(platform.settings.hdfs_url)):
        held.release(3)
        says_at_first(held, "quota")
        assert held.table.number(held.ds) == 0
    held.succeeds()
    held.published(3)
