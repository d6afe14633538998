"""`millpond interactions produce` and `status`: what they send, refuse and print.

Kafka's clients are replaced, not what speaks to them; of the ledger and of the tables no more is
here than the two commands ask.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from millpond.catalog.interactions import COUNTS
from millpond.catalog.partitions import Hour
from millpond.cli import interactions, main
from millpond.interactions import broker, produce
from millpond.interactions.ranges import Sealed
from millpond.interactions.topic import SETTINGS
from millpond.lake import receipts as lake
from millpond.lake.offsets import HourOffsets, OffsetRange
from millpond.lake.receipts import Receipt
from millpond.lake.tables import StoredTable
from tests.receipts import RECEIPT

SEVEN = Hour(datetime(2026, 11, 22, 7, tzinfo=UTC))
EIGHT, NINE = SEVEN.next, SEVEN.next.next
DOWN = KafkaError(KafkaError._TRANSPORT, "Broker transport failure")


@dataclass
class Kafka:
    """A topic as its administrators see it, and what a producer has handed over."""

    earliest: dict[int, int] = field(default_factory=lambda: {0: 0, 1: 0, 2: 0})
    stable: dict[int, int] = field(default_factory=lambda: {0: 0, 1: 0, 2: 0})
    settings: dict[str, str] = field(default_factory=lambda: dict(SETTINGS))
    failure: KafkaError | None = None
    sent: list[dict[str, Any]] = field(default_factory=list)
    refused: KafkaError | None = None
    unsent: int = 0
    _is_full: bool = True

    # What an AdminClient is asked.

    def describe_topics(self, topics: Any, **_: Any) -> dict[str, "Future[Any]"]:
        partitions = [SimpleNamespace(id=partition) for partition in self.stable]
        found = SimpleNamespace(topic_id="1-2_3", partitions=partitions)
        return {name: self._answer(found) for name in topics.topic_names}

    def describe_configs(self, resources: list[Any], **_: Any) -> dict[Any, "Future[Any]"]:
        entries = {name: SimpleNamespace(value=value) for name, value in self.settings.items()}
        return {resource: self._answer(entries) for resource in resources}

    def list_offsets(
        self,
        asked: Mapping[TopicPartition, OffsetSpec],
        *,
        isolation_level: IsolationLevel,
        **_: Any,
    ) -> dict[TopicPartition, "Future[Any]"]:
        assert isolation_level is IsolationLevel.READ_COMMITTED
        return {of: self._answer(self._found(of.partition, spec)) for of, spec in asked.items()}

    def _found(self, partition: int, spec: OffsetSpec) -> Any:
        at = self.earliest if spec is OffsetSpec.earliest() else self.stable
        return SimpleNamespace(offset=at[partition], timestamp=-1)

    def _answer(self, value: object) -> "Future[Any]":
        answer: Future[Any] = Future()
        if self.failure is None:
            answer.set_result(value)
        else:
            answer.set_exception(KafkaException(self.failure))
        return answer

    # What a Producer is told. Its queue is full now and then, until it is polled.

    def produce(self, topic: str, *, on_delivery: Callable[..., None], **message: Any) -> None:
        if self._is_full:
            raise BufferError
        self._is_full = True
        self.sent.append({"topic": topic, **message})
        on_delivery(self.refused, None)

    def poll(self, seconds: float) -> None:
        self._is_full &= seconds == 0

    def flush(self, _: float) -> int:
        return self.unsent


@dataclass
class Shelf:
    """The ledger and the tables: sealed hours, and the receipts of those that were counted."""

    hours_: list[HourOffsets] = field(default_factory=list)
    receipts: dict[Hour, Receipt] = field(default_factory=dict)

    def sealed(self, topic: str) -> Sealed | None:
        assert topic == "interact"
        return Sealed("1-2_3", self.hours_[0].hour, {}) if self.hours_ else None

    def hours(self, topic: str, limit: int) -> list[HourOffsets]:
        assert topic == "interact"
        return self.hours_[:limit]

    def number(self, hour: Hour) -> int:
        return self.receipts[hour].number if hour in self.receipts else 0

    def read_json(self, path: str) -> Any:
        for hour, receipt in self.receipts.items():
            if path == f"/millpond/receipts/{COUNTS.name}/hour={hour}/{receipt.number}.json":
                return json.loads(receipt.to_bytes())
        return None


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> Kafka:
    stands = Kafka()
    monkeypatch.setattr(broker, "AdminClient", lambda _: stands)
    monkeypatch.setattr(produce, "Producer", lambda _: stands)
    return stands


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    stands = Shelf()
    monkeypatch.setattr(interactions, "Ledger", lambda _: stands)
    monkeypatch.setattr(StoredTable, "of", lambda *_: stands)
    monkeypatch.setattr(lake, "Hdfs", lambda _: stands)
    return stands


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def millpond(
    kafka: Kafka,
    shelf: Shelf,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """`millpond interactions ...`: the exit code, standard output and standard error."""
    monkeypatch.setenv("MILLPOND_HOME", str(tmp_path))
    monkeypatch.setenv("MILLPOND_KAFKA_SERVERS", "kafka:9092")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["millpond", "interactions", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.run()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def offsets(hour: Hour, *ends: tuple[int, int], lost: int = 0) -> HourOffsets:
    """An hour that is these half-open ranges of partitions 0, 1, ...; the first lost some."""
    ranges = (
        OffsetRange(n, start, end, lost if n == 0 else 0, "time")
        for n, (start, end) in enumerate(ends)
    )
    return HourOffsets("interact", "1-2_3", hour, tuple(ranges))


def receipt(hour: Hour, number: int, **rows: int) -> Receipt:
    """A receipt of an hour's counts with these figures."""
    said = {"in": sum(rows.values()), **rows, "out": 3}
    return replace(RECEIPT, table=COUNTS.name, ds=str(hour), number=number, rows=said)


# produce


def told(file: Path) -> dict[str, Any]:
    """The hours of a truth file."""
    truth = json.loads(file.read_text())
    assert truth["topic"] == "interact"
    hours: dict[str, Any] = truth["hours"]
    return hours


def test_messages_of_past_hours_are_sent_and_the_truth_about_them_kept_private(
    millpond: Run, kafka: Kafka, tmp_path: Path
) -> None:
    asked = ("--hours", "2", "--rate", "200", "--until", str(NINE))
    code, out, err = millpond("produce", *asked, "--anonymous", "0.3", "--bad", "0.1")
    file = tmp_path / "interactions-truth.json"
    assert (code, out) == (0, "")
    assert err == (
        f"sent {2 * 200} messages of {SEVEN} to {EIGHT} to topic interact; what a count must say "
        f"is in {file}\n"
    )
    assert file.stat().st_mode & 0o777 == 0o600
    truth = told(file)
    assert list(truth) == [str(SEVEN), str(EIGHT)]
    for hour in (SEVEN, EIGHT):
        of_hour = truth[str(hour)]
        persons = sum(person[-1] for person in of_hour["anonymous"])
        kinds = (sum(of_hour["counts"].values()), persons, of_hour["quarantined"])
        assert sum(kinds) == 200
        assert min(kinds) > 0
        begin, end = (moment.timestamp() * 1000 for moment in (hour.start, hour.end))
        sent = [message for message in kafka.sent if begin <= message["timestamp"] < end]
        assert len(sent) == 200
        ids = Counter(message["key"] for message in sent if message["key"] is not None)
        assert of_hour["counts"] == ids
    assert {message["topic"] for message in kafka.sent} == {"interact"}


def test_by_default_the_hour_before_this_one_is_filled(millpond: Run, tmp_path: Path) -> None:
    before = datetime.now(UTC)
    assert millpond("produce")[0] == 0
    [(hour, truth)] = told(tmp_path / "interactions-truth.json").items()
    last = {str(Hour.of(at - timedelta(hours=1))) for at in (before, datetime.now(UTC))}
    assert hour in last
    assert sum(truth["counts"].values()) > truth["quarantined"]


def test_keys_and_file_are_as_they_are_set(
    millpond: Run, kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MILLPOND_INTERACTIONS_KEYS", "id,last,first,born,place")
    file = tmp_path / "mine.json"
    asked = ("--rate", "1", "--anonymous", "1", "--bad", "0", "--until", str(EIGHT))
    assert millpond("produce", *asked, "--truth", str(file))[0] == 0
    [message] = map(json.loads, (message["value"] for message in kafka.sent))
    assert list(message) == ["id", "last", "first", "born", "place"]
    assert told(file)[str(SEVEN)]["anonymous"] == [[*list(message.values())[1:], 1]]
    assert not (tmp_path / "interactions-truth.json").exists()


REFUSED = {
    "--hours 0": "Invalid value for '--hours'",
    "--rate 0": "Invalid value for '--rate'",
    "--until 2026-11-22": "millpond: '2026-11-22' is no hour; write it as YYYY-MM-DDTHH\n",
    "--anonymous 0.7 --bad 0.4": (
        "millpond: --anonymous 0.7 and --bad 0.4 are no shares: each is 0 to 1, and together they "
        "are at most 1\n"
    ),
    "--bad -0.1": "millpond: --anonymous 0.1 and --bad -0.1 are no shares: ",
    "--truth /nowhere/truth.json": (
        "millpond: there is no folder /nowhere for the truth about what is sent; create it, or "
        "name another --truth\n"
    ),
    "--hours 2 --until 2026-11-22T10": (
        "millpond: 2026-11-22T08 is sealed already (as all hours up to 2026-11-22T08): messages of "
        "it would count in a later hour; choose fewer --hours or a later --until\n"
    ),
}


@pytest.mark.parametrize(("arguments", "sentence"), REFUSED.items())
def test_what_is_refused_sends_nothing(
    millpond: Run, kafka: Kafka, shelf: Shelf, arguments: str, sentence: str
) -> None:
    shelf.hours_ = [offsets(EIGHT, (5, 9)), offsets(SEVEN, (0, 5))]
    code, out, err = millpond("produce", *arguments.split())
    is_usage = "Invalid" in sentence
    assert (code, out, kafka.sent) == (2 if is_usage else 1, "", [])
    assert sentence in err if is_usage else err.startswith(sentence)


@pytest.mark.parametrize("by", ["the setting", "the first up"])
def test_hours_before_the_first_that_is_counted_are_refused(
    millpond: Run, kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    if by == "the setting":
        monkeypatch.setenv("MILLPOND_INTERACTIONS_START", str(EIGHT))
    else:
        (tmp_path / "interactions-start").write_text(str(EIGHT))
    code, _, err = millpond("produce", "--hours", "2", "--until", str(NINE))
    assert (code, kafka.sent) == (1, [])
    assert err == (
        f"millpond: {SEVEN} is before {EIGHT}, the first hour that is counted: messages of it "
        "never would be; choose fewer --hours or a later --until\n"
    )
    assert millpond("produce", "--hours", "1", "--until", str(NINE))[0] == 0


def test_the_hour_after_the_last_sealed_one_can_be_filled(millpond: Run, shelf: Shelf) -> None:
    shelf.hours_ = [offsets(SEVEN, (0, 5))]
    assert millpond("produce", "--until", str(NINE))[0] == 0


@pytest.mark.parametrize(
    ("kafka_is", "cause"),
    [({"refused": DOWN}, "Broker transport failure"), ({"unsent": 7}, "Timed out")],
)
def test_without_every_message_taken_no_truth_is_written(
    millpond: Run, kafka: Kafka, tmp_path: Path, kafka_is: dict[str, Any], cause: str
) -> None:
    vars(kafka).update(kafka_is)
    code, _, err = millpond("produce")
    assert code == 1
    assert "millpond: Kafka at kafka:9092 did not take all messages of interact: " in err
    assert cause in err
    assert "`millpond status` says whether it is up" in err
    assert list(tmp_path.iterdir()) == []


# status

NOTHING = dict.fromkeys(("counted", "anonymous", "quarantined", "unreadable", "receipt"))


@pytest.fixture
def counted(shelf: Shelf, kafka: Kafka) -> None:
    """Three sealed hours, of which the newest is not counted, and a partition that is new."""
    shelf.hours_ = [
        offsets(NINE, (30, 30), (12, 12)),
        offsets(EIGHT, (10, 30), (5, 12), lost=4),
        offsets(SEVEN, (0, 10), (0, 5)),
    ]
    shelf.receipts = {
        SEVEN: receipt(SEVEN, 2, counted=9, anonymous=4, quarantined=2, unreadable=0),
        EIGHT: receipt(EIGHT, 1, counted=15, anonymous=5, quarantined=0, unreadable=3),
    }
    kafka.earliest = {0: 14, 1: 0, 2: 3}
    kafka.stable = {0: 37, 1: 12, 2: 8}


LEFT = (37 - 30) + (12 - 12) + (8 - 3)
SAID = f"topic interact has 3 partitions, and {LEFT} offsets after the last sealed hour\n"


@pytest.mark.usefixtures("counted")
def test_each_sealed_hour_is_listed_with_what_it_was_counted_as(millpond: Run) -> None:
    code, out, err = millpond("status", "--format", "json")
    assert (code, err) == (0, SAID)
    assert json.loads(out) == [
        {"hour": str(NINE), "offsets": 0, "lost": 0, **NOTHING},
        {
            "hour": str(EIGHT),
            "offsets": (30 - 10) + (12 - 5),
            "lost": 4,
            "counted": 15,
            "anonymous": 5,
            "quarantined": 0,
            "unreadable": 3,
            "receipt": 1,
        },
        {
            "hour": str(SEVEN),
            "offsets": 10 + 5,
            "lost": 0,
            "counted": 9,
            "anonymous": 4,
            "quarantined": 2,
            "unreadable": 0,
            "receipt": 2,
        },
    ]


@pytest.mark.usefixtures("counted")
def test_csv_leaves_open_what_is_not_counted(millpond: Run) -> None:
    code, out, err = millpond("status", "--format", "csv")
    assert (code, err) == (0, SAID)
    assert out == (
        "hour,offsets,lost,counted,anonymous,quarantined,unreadable,receipt\n"
        "2026-11-22T09,0,0,,,,,\n"
        "2026-11-22T08,27,4,15,5,0,3,1\n"
        "2026-11-22T07,15,0,9,4,2,0,2\n"
    )


@pytest.mark.usefixtures("counted")
def test_on_the_screen_there_is_a_line_for_each_hour(millpond: Run) -> None:
    code, out, err = millpond("status")
    assert (code, err) == (0, SAID)
    heading, _, *hours = (line.split() for line in out.splitlines() if line.strip())
    assert heading[:4] == ["hour", "offsets", "lost", "counted"]
    assert hours == [
        ["2026-11-22T09", "0", "0"],
        ["2026-11-22T08", "27", "4", "15", "5", "0", "3", "1"],
        ["2026-11-22T07", "15", "0", "9", "4", "2", "0", "2"],
    ]


def test_with_nothing_sealed_all_that_kafka_has_is_still_to_come(
    millpond: Run, kafka: Kafka
) -> None:
    kafka.earliest, kafka.stable = {0: 2}, {0: 5}
    code, out, err = millpond("status", "--format", "json")
    assert (code, out) == (0, "[]\n")
    assert err == (
        f"topic interact has 1 partition, and {5 - 2} offsets after the last sealed hour\n"
    )


def test_a_day_of_hours_is_shown(millpond: Run, shelf: Shelf) -> None:
    hours = [Hour.of(NINE.start - timedelta(hours=n)) for n in range(30)]
    shelf.hours_ = [offsets(hour, (0, 0), (0, 0), (0, 0)) for hour in hours]
    _, out, _ = millpond("status", "--format", "json")
    assert [row["hour"] for row in json.loads(out)] == list(map(str, hours[:24]))


def test_settings_of_the_topic_that_put_hours_at_risk_are_said(millpond: Run, kafka: Kafka) -> None:
    kafka.settings |= {"retention.ms": "1000", "retention.bytes": "5"}
    _, out, err = millpond("status", "--format", "json")
    assert out == "[]\n"
    retention, size, _ = err.splitlines()
    assert retention == (
        "topic interact: retention.ms is 1000: an hour can be counted anew for 30 days only with "
        "more than that"
    )
    assert size == (
        "topic interact: retention.bytes is 5: messages may go before they are counted; use -1"
    )


def test_kafka_that_does_not_answer_is_one_sentence(millpond: Run, kafka: Kafka) -> None:
    kafka.failure = DOWN
    code, out, err = millpond("status")
    assert (code, out) == (1, "")
    assert err == (
        "millpond: Kafka at kafka:9092 did not answer about interact: Broker transport failure; "
        "`millpond status` says whether it is up, MILLPOND_KAFKA_SERVERS where it is\n"
    )


def test_a_topic_that_is_none_is_one_sentence(millpond: Run, kafka: Kafka) -> None:
    kafka.failure = KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)
    code, out, err = millpond("status")
    assert (code, out) == (10, "")
    assert err == (
        "millpond: topic interact does not exist on kafka:9092; `millpond up` creates it, "
        "MILLPOND_INTERACTIONS_TOPIC names another\n"
    )


def test_a_format_that_is_none_is_refused(millpond: Run) -> None:
    code, out, err = millpond("status", "--format", "xml")
    assert (code, out) == (2, "")
    assert "'xml'" in err
