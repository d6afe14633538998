"""The hourly DAG as its users meet it: made-up messages, real Kafka, scheduler, YARN and HDFS."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from confluent_kafka import Producer

from millpond.catalog import zones
from millpond.catalog.partitions import Hour
from millpond.cli import runs
from millpond.cli.airflow_api import HOURLY, AirflowApi
from millpond.cli.interactions import truth_file
from millpond.cluster import health
from millpond.errors import MillpondError
from millpond.interactions.broker import quiet_client
from tests.integration.local_platform import Platform
from tests.integration.written import (
    SECRET_FILES,
    SERVICE_LOG,
    logs_on_hdfs,
    places_of_secrets,
    written,
)
from tests.waiting import until


def shown(platform: Platform, table: str, hour: str) -> list[dict[str, Any]]:
    asked = ("show", table, "--hour", hour, "--format", "json", "--limit", "all")
    answered = platform.millpond(*asked)
    assert answered.returncode == 0, answered.stderr
    rows: list[dict[str, Any]] = json.loads(answered.stdout)
    return rows


# In every string that says who somebody is, and nowhere else in the world.
MARK = "quorvex"
SOMEBODY = {
    "nom": "Quorvexson",
    "prénom": "Anquorvex",
    "date de naissance": "1887-02-28, quorvex",
    "lieu de naissance": "Port-Quorvex",
}
NO_INTERACTIONS = [
    {**SOMEBODY, "idClient": 1.5},
    {**SOMEBODY, "prénom": ["Quorvex"]},
    {"nom": "Quorvexson"},
    [SOMEBODY],
    "Quorvexson",
]


def plant(platform: Platform, hour: str, truth: dict[str, Any]) -> None:
    """Send messages of somebody to be looked for: with an id, without one, and bad ones."""
    here = platform.settings
    values = [{**SOMEBODY, "idClient": "planted"}, SOMEBODY, *NO_INTERACTIONS]
    producer = Producer(quiet_client(here.kafka_servers))
    for value in values:
        content = json.dumps(value, ensure_ascii=False).encode()
        at = int(Hour.parse(hour).end.timestamp() * 1000) - 1
        producer.produce(here.interactions_topic, value=content, timestamp=at)
    assert producer.flush(30) == 0
    truth["counts"]['"planted"'] = 1
    truth["anonymous"].append([*SOMEBODY.values(), 1])
    truth["quarantined"] += len(NO_INTERACTIONS)


@pytest.fixture(scope="module")
def told(platform: Platform) -> tuple[str, dict[str, Any]]:
    """An hour that was filled and has been run, and the truth about it."""
    file = truth_file(platform.settings)
    if not file.exists():  # a platform that was kept has an hour that is filled and sealed
        filled = platform.millpond("interactions", "produce", "--rate", "400", "--seed", "7")
        assert filled.returncode == 0, filled.stderr
        sent = json.loads(file.read_text())
        plant(platform, *max(sent["hours"].items()))
        file.write_text(json.dumps(sent))
    hour, truth = max(json.loads(file.read_text())["hours"].items())
    api = AirflowApi(platform.settings, HOURLY)
    runs.run_own(api, Hour.parse(hour))
    return hour, truth


def test_an_hour_is_counted_as_it_was_sent(
    platform: Platform, told: tuple[str, dict[str, Any]]
) -> None:
    hour, truth = told
    rows = shown(platform, "interactions_counts", hour)
    assert {row["customer_id"]: row["interactions"] for row in rows} == truth["counts"]
    names = ("last_name", "first_name", "birth_date", "birth_place", "interactions")
    people = shown(platform, "interactions_anonymous", hour)
    found = Counter(json.dumps([row[name] for name in names]) for row in people)
    assert found == Counter(map(json.dumps, truth["anonymous"]))
    assert len(shown(platform, "interactions_quarantine", hour)) == truth["quarantined"]


def test_the_customer_service_holds_every_total(
    platform: Platform, told: tuple[str, dict[str, Any]]
) -> None:
    _, truth = told
    service = f"http://127.0.0.1:{platform.settings.port('customer-service')}"
    held = health.fetch_json(f"{service}/counts")
    # The ids of persons are none of these.
    assert {id_: held.get(id_) for id_ in truth["counts"]} == truth["counts"]


def test_status_says_what_each_hour_came_to(
    platform: Platform, told: tuple[str, dict[str, Any]]
) -> None:
    hour, truth = told
    answered = platform.millpond("interactions", "status", "--format", "json")
    assert answered.returncode == 0, answered.stderr
    [row] = [row for row in json.loads(answered.stdout) if row["hour"] == hour]
    assert row["counted"] == sum(truth["counts"].values())
    assert row["anonymous"] == sum(person[-1] for person in truth["anonymous"])
    assert row["quarantined"] == truth["quarantined"]
    assert (row["lost"], row["unreadable"]) == (0, 0)


def test_messages_of_a_sealed_hour_are_refused(
    platform: Platform, told: tuple[str, dict[str, Any]]
) -> None:
    hour, _ = told
    after = Hour.of(Hour.parse(hour).start + timedelta(hours=1))
    refused = platform.millpond("interactions", "produce", "--until", str(after))
    assert refused.returncode == 1
    assert f"{hour} is sealed already" in refused.stderr


def test_an_hour_that_is_not_over_is_not_sealed(platform: Platform) -> None:
    api = AirflowApi(platform.settings, HOURLY)
    run_id = api.create_run_with({"hour": str(Hour.of(datetime.now(UTC)).next)})
    with pytest.raises(MillpondError, match="is not over yet"):
        runs.follow(api, run_id)


@pytest.mark.usefixtures("told")
def test_what_says_who_somebody_is_is_for_its_owner_alone(platform: Platform) -> None:
    folder = zones.personal(platform.settings.root)
    status = platform.hdfs._client.get_file_info(folder)
    assert status.permission & 0o777 == 0o700


def has_left_logs(platform: Platform, application_id: str) -> bool:
    """Whether the logs of an application's containers are on HDFS, and all of its events."""
    left = logs_on_hdfs(platform, [application_id])
    is_open = any(path.endswith((".tmp", ".inprogress")) for path in left)
    return not is_open and {path.split("/")[1] for path in left} == {"yarn-logs", "spark-history"}


# Where an application's id is: a search that misses these has not searched.
SEARCHED = (
    *("airflow/logs/", "logs/resourcemanager.log", "logs/nodemanager.log", "postgresql"),
    *("hdfs:/yarn-logs/", "hdfs:/spark-history/", "hdfs:/millpond/receipts/interactions_counts/"),
)


def test_names_and_secrets_are_in_no_log_no_receipt_and_no_other_table(
    platform: Platform, told: tuple[str, dict[str, Any]]
) -> None:
    receipt = platform.millpond("receipt", "interactions_counts", "--hour", told[0])
    application_id = json.loads(receipt.stdout)["application_id"]
    until(lambda: has_left_logs(platform, application_id))
    places = dict(written(platform, [application_id]))
    knowing = [place for place, content in places.items() if application_id.encode() in content]
    missed = [place for place in SEARCHED if not any(k.startswith(place) for k in knowing)]
    assert missed == []
    counts = "hdfs:/millpond/interactions/counts/"
    assert any(p.startswith(counts) and b"planted" in content for p, content in places.items())
    assert [p for p, content in places.items() if MARK.encode() in content.lower()] == []
    assert places_of_secrets(platform, places) == list(SECRET_FILES)


@pytest.mark.usefixtures("told")
def test_the_customer_service_hears_the_names_of_whom_it_is_asked_for_and_no_more(
    platform: Platform,
) -> None:
    log = (platform.settings.home / SERVICE_LOG).read_text()
    heard = [line for line in map(json.loads, log.splitlines()) if MARK in str(line).lower()]
    assert heard
    asked = {"firstname": SOMEBODY["prénom"], "lastname": SOMEBODY["nom"]}
    for request in heard:
        assert request["path"] == "/getcustomer"
        assert json.loads(request["body"]) == asked
        assert str(request).lower().count(MARK) == 2
