"""Faults between Kafka and the ledger: what an hour is never changes, and nothing is left out."""

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import count

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import NewPartitions
from sqlalchemy import Connection

from millpond.errors import BadInputError, MillpondError
from millpond.interactions import topic
from millpond.interactions.broker import Broker
from millpond.interactions.ledger import Ledger
from tests.faults.world import HOURS, World
from tests.waiting import until


@pytest.mark.case(1)
@pytest.mark.parametrize("point", ["sealed", "offsets-written"])
def test_a_task_killed_after_it_sealed_is_retried_and_seals_nothing_new(
    world: World, point: str
) -> None:
    world.send(HOURS[0], 5)
    assert world.seal_in_a_process(HOURS[0], crash_at=point) == -signal.SIGKILL
    world.send(HOURS[0], 3)  # late: of the next hour
    retried = world.seal(HOURS[0])
    assert sum(each.end - each.start for each in retried.ranges) == 5
    world.seal(HOURS[1])
    assert [world.count(hour) for hour in HOURS[:2]] == [0, 0]
    assert (world.counts(HOURS[0]), world.counts(HOURS[1])) == ({"1": 5}, {"1": 3})
    world.check(HOURS[:2])


@pytest.mark.case(16)
def test_a_missing_topic_is_refused(world: World) -> None:
    world.admin.delete_topics([world.topic])[world.topic].result()
    until(lambda: world.topic not in world.admin.list_topics(timeout=30).topics)
    with pytest.raises(BadInputError, match=f"topic {world.topic} does not exist"):
        world.seal(HOURS[0])


@pytest.mark.case(16)
def test_a_recreated_topic_is_refused_by_seal_and_by_count(world: World) -> None:
    world.send(HOURS[0], 5)
    world.seal(HOURS[0])
    assert world.count(HOURS[0]) == 0
    world.admin.delete_topics([world.topic])[world.topic].result()

    def made_again() -> bool:
        broker = Broker(world.settings.kafka_servers, world.topic)
        try:
            topic.create(world.settings.kafka_servers, world.topic, partitions=3)
            return broker.last_stable(range(3)) == dict.fromkeys(range(3), 0)
        except MillpondError:  # the old one is still being deleted, or the new one not yet led
            return False

    until(made_again)
    world.send(HOURS[1], 9, customer=2)  # as many offsets as were sealed, and more
    with pytest.raises(BadInputError, match=r"deleted and made again .* by partition: 0 up to 5"):
        world.seal(HOURS[1])
    assert world.count(HOURS[0]) == 10
    assert "is not the one whose" in world.failure(HOURS[0])
    assert world.counts(HOURS[0]) == {"1": 5}


@pytest.mark.case(16)
def test_records_that_retention_took_are_refused_with_their_range(world: World) -> None:
    world.send(HOURS[0], 10)
    world.seal(HOURS[0])
    assert world.count(HOURS[0]) == 0
    world.send(HOURS[1], 10)
    half_way = TopicPartition(world.topic, 0, 15)
    world.admin.delete_records([half_way])[half_way].result()
    # The hour that is sealed and counted already stays as it is, and says why.
    assert world.count(HOURS[0]) == 10
    assert "retention lost 10 of offsets 0 to 10 of partition 0" in world.failure(HOURS[0])
    assert world.counts(HOURS[0]) == {"1": 10}
    with pytest.raises(BadInputError, match="retention lost 5 offsets of partition 0"):
        world.seal(HOURS[1])
    accepted = world.seal(HOURS[1], accept_loss=True)
    assert next((each.start, each.end, each.lost) for each in accepted.ranges) == (10, 20, 5)
    assert world.count(HOURS[1]) == 0
    assert world.counts(HOURS[1]) == {"1": 5}
    world.check_ranges()


@pytest.mark.case(16)
def test_a_compacted_topic_is_refused(world: World) -> None:
    world.send(HOURS[0])
    world.set_topic("cleanup.policy", "compact")
    broker = Broker(world.settings.kafka_servers, world.topic)
    until(lambda: broker.topic().settings["cleanup.policy"] == "compact")
    with pytest.raises(BadInputError, match="cleanup.policy=compact"):
        world.seal(HOURS[0])


@pytest.mark.case(17)
def test_every_record_is_in_one_range_whatever_its_timestamp(world: World) -> None:
    world.send(HOURS[0], 2)
    world.send(HOURS[4], 1)  # from the future
    world.send(HOURS[0], 3)  # out of order
    world.send(HOURS[2], 4)
    world.send(HOURS[1], 5)  # late
    world.send(HOURS[1], 1, partition=1)
    # Partition 2 is idle, and hour 3 is empty.
    offsets = [world.seal(hour) for hour in HOURS]
    assert [world.count(hour) for hour in HOURS] == [0] * 5
    world.check(HOURS)
    assert sum(each.end - each.start for hour in offsets for each in hour.ranges) == 16
    assert world.counts(HOURS[3]) == {}


@pytest.mark.case(18)
def test_partitions_that_are_added_midway_are_counted_from_their_beginning(world: World) -> None:
    world.send(HOURS[0], 2)
    world.seal(HOURS[0])
    world.admin.create_partitions([NewPartitions(world.topic, 6)])[world.topic].result()
    broker = Broker(world.settings.kafka_servers, world.topic)
    until(lambda: len(broker.topic().partitions) == 6)
    for partition in range(6):
        world.send(HOURS[1], partition + 1, partition=partition)
    assert len(world.seal(HOURS[1]).ranges) == 6
    assert [world.count(hour) for hour in HOURS[:2]] == [0, 0]
    world.check(HOURS[:2])


@pytest.mark.case(23)
@pytest.mark.parametrize(
    "order",
    [
        pytest.param([2, 0, 1], id="three"),
        pytest.param([4, 2, 3, 0, 1], id="five", marks=pytest.mark.case(23, slow=True)),
    ],
)
def test_hours_in_any_order_and_again_are_those_of_the_run_in_order(
    world: World, order: list[int]
) -> None:
    for n in range(5):
        world.send(HOURS[n], n + 1, customer=n % 2)
    for n in order:
        world.seal(HOURS[n])
        assert world.count(HOURS[n]) == 0
    first = [world.counts(HOURS[n]) for n in sorted(order)]
    assert first == [{str(n % 2): n + 1} for n in sorted(order)]
    for n in order:
        world.seal(HOURS[n])
        assert world.count(HOURS[n]) == 0
    assert [world.counts(HOURS[n]) for n in sorted(order)] == first
    world.check_ranges()


@pytest.mark.case(23)
def test_two_seals_at_once_make_one_set_of_ranges(world: World) -> None:
    world.send(HOURS[0], 3)
    world.send(HOURS[1], 4)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(world.seal, [HOURS[1], HOURS[1]])
    assert one == other
    assert next(each.end - each.start for each in world.seal(HOURS[0]).ranges) == 3
    world.check_ranges()


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_an_hour_that_another_run_seals_meanwhile_is_that_hour(
    world: World, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    world.send(HOURS[0], 3)
    world.send(HOURS[1], 4)
    steps = count(1)
    others = []
    begin = Ledger.transaction

    def after_another(ledger: Ledger) -> AbstractContextManager[Connection]:
        if next(steps) == step:
            others.append(world.seal(HOURS[1]))
        return begin(ledger)

    monkeypatch.setattr(Ledger, "transaction", after_another)
    assert [world.seal(HOURS[1])] == others
    world.check_ranges()
