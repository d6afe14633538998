"""The hourly DAG as its users meet it: made-up messages, real Kafka, scheduler, YARN and HDFS."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from millpond.catalog import zones
from millpond.catalog.partitions import Hour
from millpond.cli import runs
from millpond.cli.airflow_api import HOURLY, AirflowApi
from millpond.cluster import health
from millpond.errors import MillpondError
from tests.integration.local_platform import Platform


def shown(platform: Platform, table: str, hour: str) -> list[dict[str, Any]]:
    asked = ("show", table, "--hour", hour, "--format", "json", "--limit", "all")
    answered = platform.millpond(*asked)
    assert answered.returncode == 0, answered.stderr
    rows: list[dict[str, Any]] = json.loads(answered.stdout)
    return rows


@pytest.fixture(scope="module")
def told(platform: Platform) -> tuple[str, dict[str, Any]]:
    """An hour that was filled and has been run, and the truth about it."""
    file = platform.settings.home / "interactions-truth.json"
    if not file.exists():  # a platform that was kept has an hour that is filled and sealed
        filled = platform.millpond("interactions", "produce", "--rate", "400", "--seed", "7")
        assert filled.returncode == 0, filled.stderr
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


def test_what_says_who_somebody_is_is_for_its_owner_alone(
    platform: Platform, told: tuple[str, dict[str, Any]]
) -> None:
    folder = zones.personal(platform.settings.root)
    status = platform.hdfs._client.get_file_info(folder)
    assert status.permission & 0o777 == 0o700
    receipt = platform.millpond("receipt", "interactions_anonymous", "--hour", told[0]).stdout
    assert receipt != ""
    names = {name for *person, _ in told[1]["anonymous"] for name in person if name}
    assert not [name for name in names if name in receipt]
