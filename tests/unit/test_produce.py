"""Made-up interactions: the truth that goes with them is what a plain reading of them says."""

import json
from collections import Counter
from datetime import UTC, datetime

import pytest

from millpond.catalog.interactions import Keys
from millpond.catalog.partitions import Hour
from millpond.catalog.settings import DEFAULT_KEYS
from millpond.errors import MillpondError
from millpond.interactions.produce import BAD, Truth, Workload, _messages

KEYS = Keys.parse(DEFAULT_KEYS)
SEVEN = Hour(datetime(2026, 11, 22, 7, tzinfo=UTC))
WORKLOAD = Workload((SEVEN, SEVEN.next), 500, anonymous=0.2, bad=0.1, seed=1)


def made(workload: Workload) -> tuple[dict[Hour, Truth], list[tuple[Hour, int, bytes | None]]]:
    truth = {hour: Truth() for hour in workload.hours}
    sent = [(hour, at, value) for hour, at, _, value in _messages(KEYS, workload, truth)]
    return truth, sent


def test_the_truth_is_what_was_sent() -> None:
    truth, sent = made(WORKLOAD)
    for hour in WORKLOAD.hours:
        values = [value for of, _, value in sent if of == hour]
        good = [json.loads(value) for value in values if value not in BAD]
        ids = Counter(json.dumps(m["idClient"]) for m in good if m["idClient"] is not None)
        people = Counter(tuple(m.values())[1:] for m in good if m["idClient"] is None)
        told = truth[hour]
        assert (told.counts, told.anonymous) == (ids, people)
        assert told.quarantined == len(values) - len(good)
        assert min(told.quarantined, sum(people.values()), sum(ids.values())) > 0


def test_messages_are_in_the_order_of_their_times_and_inside_their_hours() -> None:
    _, sent = made(WORKLOAD)
    times = [(hour, at) for hour, at, _ in sent]
    assert times == sorted(times)
    assert all(0 <= at < 3_600_000 for _, at in times)


def test_a_seed_makes_the_same_messages_again_and_another_makes_others() -> None:
    other = Workload((SEVEN, SEVEN.next), 500, anonymous=0.2, bad=0.1, seed=2)
    assert made(WORKLOAD) == made(WORKLOAD) != made(other)


def test_shares_that_are_none_are_named() -> None:
    with pytest.raises(MillpondError, match=r"--anonymous 0\.7 and --bad 0\.4 are no shares"):
        Workload((SEVEN,), 1, anonymous=0.7, bad=0.4, seed=1)


def test_keys_survive_a_command_line_of_any_locale() -> None:
    argument = KEYS.argument()
    assert argument.isascii()
    assert " " not in argument
    assert Keys.from_argument(argument) == KEYS
