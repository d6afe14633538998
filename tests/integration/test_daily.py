"""The daily DAG as its users meet it: real scheduler, real YARN, real HDFS."""

import json
import random
import resource
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import pytest
import requests

from millpond.airflow.generations import target_tag
from millpond.cli.airflow_api import AirflowApi
from millpond.yarn import Application, ResourceManager
from tests.integration.local_platform import Platform
from tests.waiting import until

BAD_LINES = ["1\t2\tgood\t4", "5\t6\t7\t8", "too few fields"]


def ratings_file(seed: int, lines: int = 2000) -> bytes:
    """A source file with repeated ratings, and a few lines that do not fit."""
    draw = random.Random(seed)
    good = [
        "\t".join(str(draw.randint(1, most)) for most in (40, 60, 5, 10**9)) for _ in range(lines)
    ]
    return "".join(f"{line}\n" for line in [*good, *BAD_LINES]).encode()


def histogram_of(content: bytes) -> dict[float, int]:
    """The oracle: what the file's histogram is, by Python's own means."""
    last: dict[tuple[str, str], tuple[int, int, float]] = {}
    for number, line in enumerate(content.decode().splitlines(), start=1):
        if line not in BAD_LINES:
            user, movie, rating, second = line.split("\t")
            candidate = (int(second), number, float(rating))
            last[user, movie] = max(candidate, last.get((user, movie), candidate))
    return dict(Counter(rating for *_, rating in last.values()))


def put(platform: Platform, ds: date, content: bytes) -> None:
    folder = platform.data / "ratings" / f"ds={ds}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "u.data").write_bytes(content)


def run(platform: Platform, ds: date) -> None:
    done = platform.millpond("run", "--ds", str(ds), "--only", "rating_histogram")
    assert done.returncode == 0, done.stderr


def shown(platform: Platform, ds: date) -> dict[float, int]:
    """What `millpond show` prints for a date."""
    answered = platform.millpond("show", "rating_histogram", "--ds", str(ds), "--format", "json")
    assert answered.returncode == 0, answered.stderr
    rows = json.loads(answered.stdout)
    assert {row["ds"] for row in rows} == {str(ds)}
    return {row["rating"]: row["ratings"] for row in rows}


def receipt(platform: Platform, table: str, ds: date) -> dict[str, Any]:
    answered = platform.millpond("receipt", table, "--ds", str(ds))
    assert answered.returncode == 0, answered.stderr
    found: dict[str, Any] = json.loads(answered.stdout)
    return found


def applications(platform: Platform, task: str, ds: date) -> list[Application]:
    """Every application that was submitted for a task and date."""
    tag = target_tag(platform.settings.deployment, "daily_analytics", task, ds)
    return ResourceManager(platform.settings.yarn_url).tagged(tag)


@pytest.fixture(scope="module")
def published(platform: Platform, days: Iterator[date]) -> date:
    """A date that has been run once through Airflow."""
    ds = next(days)
    put(platform, ds, ratings_file(seed=1))
    run(platform, ds)
    return ds


def test_a_file_becomes_a_table_that_an_analyst_reads(platform: Platform, published: date) -> None:
    assert shown(platform, published) == histogram_of(ratings_file(seed=1))


def test_every_line_read_is_clean_or_quarantined(platform: Platform, published: date) -> None:
    rows = receipt(platform, "clean_ratings", published)["rows"]
    assert rows == {"in": 2000 + len(BAD_LINES), "quarantined": len(BAD_LINES), "out": 2000}
    answered = platform.millpond(
        "show", "quarantine_ratings", "--ds", str(published), "--format", "json"
    )
    reasons = {row["line_number"]: row["reasons"] for row in json.loads(answered.stdout)}
    assert reasons == {
        2001: ["not_a_number:rating"],
        2002: ["out_of_range:rating"],
        2003: ["field_count"],
    }


def test_the_receipt_leads_back_to_the_source_file(platform: Platform, published: date) -> None:
    [clean] = receipt(platform, "rating_histogram", published)["inputs"]
    assert clean["path"] == "/millpond/clean/ratings"
    conformed = receipt(platform, "clean_ratings", published)
    assert conformed["number"] == clean["number"]
    [source] = conformed["inputs"]
    content = platform.hdfs.read(source["path"])
    assert content == ratings_file(seed=1)


def test_show_takes_under_two_seconds(platform: Platform, published: date) -> None:
    # The processor's time, its children's included: others work on the machine meanwhile.
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    shown(platform, published)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime < 2


def test_the_log_of_an_application_that_has_ended_is_where_yarns_page_leads(
    platform: Platform, published: date
) -> None:
    *_, application = applications(platform, "analyse.rating_histogram", published)

    def log() -> str:
        with suppress(requests.RequestException):  # the first page of a JVM may take its time
            answer = requests.get(application.log_url, timeout=10)
            if answer.history:  # until it has been taken to HDFS: no redirect
                return answer.text
        return ""

    said = until(log)
    assert f"published rating_histogram {published} as number 1" in said
    assert "launch_container.sh" not in said


def test_the_asset_event_carries_the_receipt(platform: Platform, published: date) -> None:
    api = AirflowApi(platform.settings)
    url = f"{platform.settings.airflow_url}/api/v2/assets/events"
    asked = {"name_pattern": "rating_histogram", "limit": 100, "order_by": "-timestamp"}
    events = api._ask("GET", url, params=asked)
    ours = [
        event["extra"]
        for event in events["asset_events"]
        if event["name"] == "rating_histogram" and event["extra"]["ds"] == str(published)
    ]
    assert ours == [receipt(platform, "rating_histogram", published)]


def own_run(platform: Platform, ds: date) -> None:
    """A day's own run, as the schedule makes it, but for one analysis."""
    begin, end = (f"{day}T00:00:00Z" for day in (ds, ds + timedelta(1)))
    interval = {"logical_date": begin, "data_interval_start": begin, "data_interval_end": end}
    conf = {"only": ["rating_histogram"]}
    AirflowApi(platform.settings)._dag("POST", "dagRuns", json={**interval, "conf": conf})
    followed = platform.millpond("run", "--ds", str(ds))
    assert followed.returncode == 0, followed.stderr
    assert f"the run of {ds} is on its way already" in followed.stderr


def backfill(platform: Platform, ds: date) -> None:
    """A backfill that reprocesses a date that has succeeded, to its end."""
    api = AirflowApi(platform.settings)
    backfills = f"{platform.settings.airflow_url}/api/v2/backfills"
    midnight = f"{ds}T00:00:00Z"
    asked = {"dag_id": "daily_analytics", "from_date": midnight, "to_date": midnight}
    how = {"reprocess_behavior": "completed", "dag_run_conf": {"only": ["rating_histogram"]}}
    created = api._ask("POST", backfills, json={**asked, **how})
    ours = f"{backfills}/{created['id']}"
    until(lambda: api._ask("GET", ours)["completed_at"], pause=1)
    run_of_the_day = api.find_run(ds)
    assert run_of_the_day is not None
    assert run_of_the_day["run_type"] == "backfill"


def test_a_clear_and_a_backfill_compute_a_date_that_had_succeeded_again(
    platform: Platform, days: Iterator[date]
) -> None:
    ds = next(days)
    put(platform, ds, ratings_file(seed=2))
    own_run(platform, ds)
    put(platform, ds, ratings_file(seed=3))
    second = platform.millpond("run", "--ds", str(ds))
    assert second.returncode == 0, second.stderr
    assert f"clearing the run of {ds}" in second.stderr
    assert shown(platform, ds) == histogram_of(ratings_file(seed=3))
    put(platform, ds, ratings_file(seed=5))
    backfill(platform, ds)
    assert shown(platform, ds) == histogram_of(ratings_file(seed=5))
    submitted = applications(platform, "analyse.rating_histogram", ds)
    assert [app.final_status for app in submitted] == ["SUCCEEDED"] * 3
    assert receipt(platform, "rating_histogram", ds)["application_id"] == submitted[-1].id
    history = platform.millpond("history", "rating_histogram", "--ds", str(ds), "--format", "json")
    assert [row["number"] for row in json.loads(history.stdout)] == [3, 2, 1]


def test_two_dates_at_once(platform: Platform, days: Iterator[date]) -> None:
    chosen = [next(days), next(days)]
    for ds in chosen:
        put(platform, ds, ratings_file(seed=ds.day))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda ds: run(platform, ds), chosen))
    for ds in chosen:
        assert shown(platform, ds) == histogram_of(ratings_file(seed=ds.day))


def test_the_same_date_twice_at_once_leaves_one_whole_result(
    platform: Platform, days: Iterator[date]
) -> None:
    ds = next(days)
    put(platform, ds, ratings_file(seed=4))
    arguments = ("run", "--ds", str(ds), "--only", "rating_histogram")
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(lambda _: platform.millpond(*arguments), range(2)))
    # The later attempt of a task takes over; whichever run has none left to take over succeeds.
    assert 0 in [done.returncode for done in ended]
    assert shown(platform, ds) == histogram_of(ratings_file(seed=4))
    assert [app for app in applications(platform, "conform.ratings", ds) if app.is_live] == []
    assert [
        app for app in applications(platform, "analyse.rating_histogram", ds) if app.is_live
    ] == []


def test_too_many_bad_lines_fail_with_a_sentence_and_keep_the_former_rows(
    platform: Platform, published: date
) -> None:
    before = receipt(platform, "clean_ratings", published)
    bad = b"not a rating\n" * 21  # of 2024 lines, more than 1 %
    put(platform, published, ratings_file(seed=1) + bad)
    failed = platform.millpond("run", "--ds", str(published), "--only", "rating_histogram")
    put(platform, published, ratings_file(seed=1))
    assert failed.returncode == 1
    assert "conform.ratings failed" in failed.stderr
    assert "24 of 2024 lines of ratings" in failed.stderr
    assert "millpond show quarantine_ratings" in failed.stderr
    assert receipt(platform, "clean_ratings", published) == before
    assert receipt(platform, "quarantine_ratings", published)["rows"]["out"] == 21 + len(BAD_LINES)
    # Bad data is not tried again: running twice changes nothing.
    assert len(applications(platform, "conform.ratings", published)) == 2
