"""Faults while an hour is read and published: each readable offset counts once, or says why not."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psutil
import pytest
import requests

from millpond.catalog import zones
from millpond.catalog.interactions import COUNTS, QUARANTINE
from millpond.catalog.partitions import Hour
from millpond.cluster.health import fetch_json
from millpond.interactions import seal as sealing
from tests.faults.world import HOURS, World
from tests.waiting import until


def find_process(application_id: str, main: str) -> psutil.Process | None:
    """The JVM of an application that runs a class."""
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        is_ours = command and command[0].endswith("java") and application_id in str(command)
        if is_ours and any(part.endswith(main) for part in command):
            return process
    return None


def process_of(application_id: str, main: str) -> psutil.Process:
    return until(lambda: find_process(application_id, main))


def has_tasks(world: World, which: str) -> bool:
    """Whether the driver has given tasks of a kind to an executor that lives."""
    id_ = world.application_id
    pages = f"{world.settings.yarn_url}/proxy/{id_}/api/v1/applications/{id_}"
    try:
        executors = fetch_json(f"{pages}/executors")
    except requests.RequestException:  # the driver has no pages yet
        return False
    return any(each["id"] != "driver" and each[which] for each in executors)


def is_being_written(world: World, hour: Hour) -> bool:
    folder = zones.receipts(world.settings.root, QUARANTINE.name, hour)
    return "1.json" in world.platform.hdfs.names(folder)


@pytest.mark.case(2, slow=True)
def test_a_driver_killed_while_it_writes_fails_once(world: World) -> None:
    world.send(HOURS[0], 5000)
    world.seal(HOURS[0])
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(world.count_on_yarn, HOURS[0], 1)
        until(lambda: world.application_id != "")
        driver = process_of(world.application_id, "ApplicationMaster")
        until(lambda: is_being_written(world, HOURS[0]))
        driver.kill()
        assert first.result() != "SUCCEEDED"
    assert world.count_on_yarn(HOURS[0], 2) == "SUCCEEDED"
    world.check(HOURS[:1])


@pytest.mark.case(3, slow=True)
def test_an_executor_that_is_killed_is_replaced(world: World) -> None:
    world.send(HOURS[0], 50_000)
    world.seal(HOURS[0])
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(world.count_on_yarn, HOURS[0], 1)
        until(lambda: world.application_id != "")
        executor = process_of(world.application_id, "YarnCoarseGrainedExecutorBackend")
        until(lambda: has_tasks(world, "totalTasks"))
        executor.suspend()  # however fast the machine is, it dies with a task in its hands
        try:
            until(lambda: has_tasks(world, "activeTasks"))
        finally:
            executor.kill()
        assert running.result() == "SUCCEEDED"
    world.check(HOURS[:1])


@pytest.mark.alone
@pytest.mark.case(15, slow=True)
def test_a_broker_killed_while_it_is_read_gives_the_same_range_later(world: World) -> None:
    world.send(HOURS[0], 100_000)
    world.seal(HOURS[0])
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(world.count, HOURS[0])
        tracker = world.spark.sparkContext.statusTracker()
        until(lambda: bool(tracker.getActiveStageIds()))
        world.broker_process().kill()
        started = world.platform.millpond("up")
        assert started.returncode == 0, started.stderr
        code = reading.result()
    if code != 0:
        assert world.count(HOURS[0]) == 0
    world.check(HOURS[:1])


@pytest.mark.case(23, slow=True)
def test_two_counts_of_an_hour_at_once_publish_it_once_and_whole(world: World) -> None:
    world.send(HOURS[0], 500)
    world.seal(HOURS[0])
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(world.count_on_yarn, HOURS[0], number) for number in (1, 2)]
        seen = [world.counts(HOURS[0])]
        while not all(each.done() for each in running):
            seen.append(world.counts(HOURS[0]))
    assert [counts for counts in seen if counts not in ({}, {"1": 500})] == []
    # Who claimed the hour last may publish, and the other one finds that it may not.
    assert sorted(each.result() for each in running) == ["FAILED", "SUCCEEDED"]
    claimant = world.receipts(HOURS[0]).claimant()
    published = world.receipts(HOURS[0]).read(world.table(COUNTS.name).number(HOURS[0]))
    assert published is not None
    assert claimant == f"{published.generation}-{published.attempt}"
    world.check(HOURS[:1])


@pytest.mark.case(19)
def test_aborted_transactions_never_count_and_an_open_one_once_after_its_commit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The mark that ends a transaction carries the broker's clock, so these hours are those of now.
    this = Hour.of(datetime.now(UTC) + timedelta(minutes=5))
    world.settings = replace(world.settings, interactions_start=this)
    monkeypatch.setattr(sealing, "_now", lambda: this.next.end + timedelta(hours=1))
    # A busy machine may take longer than the default of a minute to seal and count.
    patient = {"transactional.id": world.topic, "transaction.timeout.ms": 600_000}
    producer = world.producer(**patient)
    producer.init_transactions(30)
    producer.begin_transaction()
    world.send(this, 3, minute=0, producer=producer)
    producer.commit_transaction(30)
    producer.begin_transaction()
    world.send(this, 4, minute=0, value=b'{"idClient": 666}', producer=producer)
    producer.abort_transaction(30)
    world.send(this, 2, minute=0, partition=1)
    producer.begin_transaction()
    world.send(this, 5, minute=0, customer=7, producer=producer)  # open while the hour is sealed
    sealed = world.seal(this)
    # Three messages and the commit's mark, four and the abort's.
    assert [each.end for each in sealed.ranges] == [3 + 1 + 4 + 1, 2, 0]
    assert world.count(this) == 0
    assert world.counts(this) == {"1": 5}
    producer.commit_transaction(30)
    world.seal(this.next)
    assert world.count(this.next) == 0
    assert world.counts(this.next) == {"7": 5}
    world.check([this, this.next])
    receipt = world.receipts(this).read(1)
    assert receipt is not None
    assert receipt.rows["unreadable"] == 1 + 4 + 1


@pytest.mark.case(20)
def test_what_is_no_interaction_is_quarantined_with_its_offset_and_the_rest_counted(
    world: World,
) -> None:
    bad: list[tuple[bytes | None, str]] = [
        (None, "no_value"),
        (b"not json", "not_json"),
        (b'{"idClient": "\xff"}', "undecodable"),
        (b'{"idClient": 1, "x": "' + b"x" * (5 * 2**20) + b'"}', "too_large"),
        (b'{"idClient": [1]}', "bad_id"),
        (b'{"nom": 1, "pr\xc3\xa9nom": "Zo\xc3\xa9"}', "not_a_string:last_name"),
        (b'{"customer": 1}', "missing:last_name"),
    ]
    producer = world.producer(**{"message.max.bytes": 10 * 2**20})
    for value, _ in bad:
        world.send(HOURS[0], value=value, producer=producer)
        world.send(HOURS[0], producer=producer)
    world.seal(HOURS[0])
    assert world.count(HOURS[0]) == 0
    expected = {(0, 2 * n): reason for n, (_, reason) in enumerate(bad)}
    assert world.quarantined(HOURS[0]) == expected
    world.check(HOURS[:1])
