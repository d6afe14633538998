"""Faults of tasks and their applications, under the real scheduler, on the real YARN.

Each test holds a task's application until it has seen what it wants to see; then it lets it publish
or has it killed. At any moment at most one application of a run's task lives.
"""

import json
import re
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from millpond.cli.airflow_api import AirflowApi
from millpond.cluster import processes
from millpond.yarn import Application, session
from tests.faults.holding import Held, Hold, until
from tests.integration.local_platform import Platform

# Between an end on YARN and its notice lies at most a poll, of 2 s.
NOTICE_SECONDS = 3


@pytest.mark.case(7)
@pytest.mark.case(8)
def test_a_worker_killed_after_yarns_acceptance_is_adopted_and_a_clear_ends_what_it_adopted(
    hold: Hold,
) -> None:
    held = hold(crash_at="submitted")
    held.reaches("running", attempt=2)
    adopted = held.running()
    held.says(f"adopting {adopted.id}")
    began = time.time()
    held.clear()
    held.is_killed(adopted.id, began)
    held.says("the task was cleared")
    held.release(6)
    held.reaches("success", attempt=3)
    assert held.published(6).application_id != adopted.id
    assert len(held.applications()) == 2


@pytest.mark.case(2)  # a driver that ends badly, here by itself
def test_the_page_says_what_becomes_of_the_application_and_why(hold: Hold) -> None:
    held = hold()
    first = held.running()
    links = held.links()
    assert set(links) == {"YARN application", "Driver log", "Spark history"}
    for link in links.values():
        assert first.id.removeprefix("application") in link
        # Airflow's log makes a link of no other.
        assert "." in str(urlsplit(link).hostname)
        until(partial(answers, link))
    held.release("many")
    held.fails()
    held.release(3)
    with pytest.raises(ValueError, match="many") as python:
        int(b"many")
    cause = f"ValueError: {python.value}"
    named, quoted = (held.says(words, 1) for words in ("first cause: ", "the driver's last"))
    assert named == f"first cause: {cause}"
    said = held.log(1)
    assert cause in said[said.index(quoted) : said.index(named)]
    held.reaches("success", attempt=2)
    # What an attempt says last may be in its log a moment after it has succeeded.
    held.says(f"published rating_histogram {held.ds}: rows 1 in, 10 out")
    second = held.applications()[-1]
    for attempt, application in enumerate((first, second), start=1):
        states = states_said(held, attempt, application)
        assert len(states) == len(set(states))
        assert "FINISHED" in states
    # The second may have run between two polls; the first was held.
    assert "RUNNING" in states_said(held, 1, first)
    stored = held.platform.hdfs.read(held.says("receipt: ").removeprefix("receipt: "))
    assert json.loads(stored or b"null")["application_id"] == second.id
    noticed = float(held.says("seconds: ").rpartition("notice ")[2])
    assert 0 <= noticed < NOTICE_SECONDS
    assert held.published(3).application_id == second.id


def answers(link: str) -> bool:
    with suppress(requests.RequestException):  # the first page of a JVM may take its time
        return session(None).get(link, timeout=10).ok
    return False


def states_said(held: Held, attempt: int, application: Application) -> list[str]:
    """The states of an application that an attempt's log has, each time it has one."""
    said = (re.match(rf"{application.id} is (\w+), \w+$", line) for line in held.log(attempt))
    return [line[1] for line in said if line]


@pytest.mark.case(7, slow=True)
@pytest.mark.parametrize(
    ("point", "submitted_by"),
    [
        ("about-to-submit", "2"),
        # The client dies with its task, before it has submitted anything.
        ("submitting", "2"),
        ("submitted", "1"),
        ("id-stored", "1"),
    ],
)
def test_a_worker_killed_around_the_submission_publishes_once(
    hold: Hold, point: str, submitted_by: str
) -> None:
    held = hold(crash_at=point)
    held.release(3)
    held.reaches("success", attempt=2)
    [application] = held.applications()
    receipt = held.published(3)
    assert receipt.application_id == application.id
    assert receipt.attempt == submitted_by


@pytest.mark.case(7, slow=True)
def test_a_client_that_submits_dies_with_its_task(hold: Hold) -> None:
    held = hold()
    client = held.client()
    held.process().kill()
    until(lambda: not processes.is_alive(client), 3)  # it would submit after about 5
    held.release(3)
    held.succeeds()
    held.published(3)
    assert len(held.applications()) == 1


@pytest.mark.case(7, slow=True)
@pytest.mark.parametrize(
    ("point", "attempt", "published_by"),
    [
        # A driver that dies before its commit has published nothing: another one is submitted.
        ("receipt-written", 2, "2"),
        ("rows-written", 2, "2"),
        # After it, it has: the receipt counts, not how the driver ended.
        ("committed", 1, "1"),
        ("ended", 2, "1"),
        ("recorded", 2, "1"),
    ],
)
def test_whatever_is_killed_around_the_commit_publishes_once(
    hold: Hold, point: str, attempt: int, published_by: str
) -> None:
    held = hold(crash_at=point)
    held.release(3)
    held.reaches("success", attempt=attempt)
    assert held.published(3).attempt == published_by
    assert len(held.applications()) == int(published_by)
    if attempt > int(published_by):
        held.says("has published already: nothing to do")


@pytest.mark.case(6)
@pytest.mark.case(8)
@pytest.mark.case(9)
def test_a_killed_task_is_adopted_killed_when_marked_and_computed_anew_when_cleared(
    hold: Hold,
) -> None:
    held = hold()
    first = held.running()
    held.hand_over(first)
    began = time.time()
    held.mark("failed")
    held.is_killed(first.id, began)
    held.says(f"{first.id} has ended")
    held.clear()
    held.says("the task was cleared")
    held.release(4)
    held.reaches("success", attempt=3)
    assert held.published(4).application_id != first.id
    # A success is cleared when the input has changed.
    held.release(5)
    held.clear()
    held.reaches("success", attempt=4)
    held.shows(5)
    assert len(held.applications()) == 3


@pytest.mark.case(6)
def test_an_orphaned_task_changes_nothing_beside_the_next_attempt(hold: Hold) -> None:
    held = hold()
    first = held.running()
    orphan = held.process()
    held.supervisor().kill()
    held.age_heartbeat()
    held.reaches("running", attempt=2)
    held.says(f"adopting {first.id}")
    assert processes.is_alive(orphan)
    held.release(5)
    held.reaches("success", attempt=2)
    assert held.published(5).application_id == first.id
    assert held.applications()[-1].id == first.id
    until(lambda: not processes.is_alive(orphan))


@pytest.mark.case(6, slow=True)
def test_a_worker_that_is_shut_down_goes_on_while_it_may(hold: Hold) -> None:
    held = hold()
    first = held.running()
    held.supervisor().terminate()
    held.release(3)
    held.reaches("success", attempt=1)
    assert held.published(3).application_id == first.id


@pytest.mark.case(6, slow=True)
def test_one_that_is_killed_then_leaves_the_application_to_the_next_attempt(hold: Hold) -> None:
    held = hold()
    first = held.running()
    worker = (held.supervisor(), held.process())
    held.supervisor().terminate()
    assert held.running().id == first.id
    # What shuts down a machine does not wait for ever.
    for process in worker:
        process.kill()
    held.age_heartbeat()
    held.reaches("running", attempt=2)
    held.says(f"adopting {first.id}")
    held.release(3)
    held.reaches("success", attempt=2)
    assert held.published(3).application_id == first.id
    assert len(held.applications()) == 1


@pytest.mark.case(9, slow=True)
def test_a_cleared_run_computes_anew(hold: Hold) -> None:
    held = hold()
    held.release(3)
    held.reaches("success")
    held.release(4)
    held.clear_run()
    held.reaches("success", attempt=2)
    held.says("try 2: the task was cleared")
    held.shows(4)
    assert len(held.applications()) == 2


@pytest.mark.case(9, slow=True)
def test_anew_ends_what_the_earlier_try_submitted(hold: Hold) -> None:
    held = hold(anew=True)
    first = held.running()
    held.process().kill()
    second = held.running(2)
    ended = held.yarn.application(first.id)
    assert ended is not None
    assert ended.state == "KILLED"
    held.says("the run's param anew asks for a new one at every try")
    held.release(3)
    held.succeeds()
    assert held.published(3).application_id == second.id


def goes_on_as_a_retry(held: Held, first: Application) -> None:
    """The next attempt adopts the application, says what it could not tell apart, and publishes."""
    held.reaches("running", attempt=2)
    held.says("a retry; the run was cleared meanwhile: if this task was meant, clear it when")
    held.says(f"adopting {first.id}")
    held.release(3)
    held.reaches("success", attempt=2)
    assert held.published(3).application_id == first.id
    assert held.applications()[-1].id == first.id


@pytest.mark.case(9, slow=True)
def test_another_task_that_is_cleared_meanwhile_changes_nothing_and_is_told(hold: Hold) -> None:
    held = hold(dag_id="held_beside")
    first = held.running()
    held.clear("other")
    held.process().kill()
    goes_on_as_a_retry(held, first)


@pytest.mark.case(9, slow=True)
def test_a_clear_of_a_task_whose_worker_is_dead_is_taken_for_a_retry_and_told(hold: Hold) -> None:
    held = hold()
    first = held.running()
    # Together they cannot tell Airflow, which calls the task running still.
    for process in (held.supervisor(), held.process()):
        process.kill()
    held.clear()
    held.age_heartbeat()
    goes_on_as_a_retry(held, first)


ENDINGS = ("mark failed", "mark success", "mark_run failed", "mark_run success", "clear")


@pytest.mark.case(8, slow=True)
@pytest.mark.parametrize("is_adopted", [False, True], ids=["first", "adopted"])
@pytest.mark.parametrize("how", ENDINGS)
def test_however_a_person_ends_it_the_application_ends(
    hold: Hold, how: str, *, is_adopted: bool
) -> None:
    held = hold()
    application = held.running()
    if is_adopted:
        held.hand_over(application)
    began = time.time()
    what, *state = how.split()
    getattr(held, what)(*state)
    held.is_killed(application.id, began)


@pytest.mark.case(8, slow=True)
@pytest.mark.parametrize("is_adopted", [False, True], ids=["first", "adopted"])
@pytest.mark.parametrize("whose", ["attempt", "run"])
def test_a_time_out_ends_the_application(hold: Hold, whose: str, *, is_adopted: bool) -> None:
    held = hold(dag_id="held_for_an_hour")
    application = held.running()
    if is_adopted:
        held.hand_over(application)
    began = time.time()
    if whose == "attempt":
        held.let_time_run_out()
    else:
        held.let_runs_time_run_out()
    held.is_killed(application.id, began)


@pytest.mark.alone
@pytest.mark.case(6, slow=True)
def test_the_reaper_ends_what_a_dead_worker_left_and_nothing_else(
    platform: Platform, hold: Hold
) -> None:
    left, wanted = hold(), hold()
    leftover, other = left.running(), wanted.running()
    # Together they cannot end anything, and nobody tries the task again.
    dead = (left.supervisor(), left.process())
    for process in dead:
        process.kill()
    left.mark("failed")
    for dry_run in (True, False):
        assert left.running().id == leftover.id
        said = reap(platform, dry_run=dry_run)
        # The hourly DAG may have one, too.
        assert [id_ for id_, what in said.items() if what == "to be ended"] == [leftover.id]
        assert said[other.id] == "stays"
    assert until(lambda: left.ended(leftover.id)).state == "KILLED"
    wanted.release(2)
    wanted.reaches("success")
    wanted.published(2)


@pytest.mark.alone
@pytest.mark.case(6, slow=True)
def test_a_reaper_by_schedule_ends_what_the_run_before_has_listed(
    platform: Platform, hold: Hold
) -> None:
    left, others, waiting = hold(), hold(deployment="other"), hold("held_and_retried_late")
    leftover, of_others, wanted = left.running(), others.running(), waiting.running()
    for process in (left.supervisor(), left.process(), waiting.process()):
        process.kill()
    left.mark("failed")
    waiting.reaches("up_for_retry")
    for said in reap_by_schedule(platform):
        # The second could not list what the first had ended.
        assert said[leftover.id] == "to be ended"
        assert said[wanted.id] == "stays"
        assert of_others.id not in said
    assert until(lambda: left.ended(leftover.id)).state == "KILLED"
    assert others.live() == [of_others.id]
    assert waiting.live() == [wanted.id]


def reap(platform: Platform, *, dry_run: bool) -> dict[str, str]:
    """Run the reaper by hand; what it says of each application."""
    api = AirflowApi(platform.settings, "reaper")
    run_id = api.create_run_with({"dry_run": dry_run})
    api.unpause()
    return verdicts(api, run_id)


def reap_by_schedule(platform: Platform) -> list[dict[str, str]]:
    """Have the reaper run for two hours before all that it has run for; what each run says."""
    api = AirflowApi(platform.settings, "reaper")
    api.unpause()
    backfills = f"{platform.settings.airflow_url}/api/v2/backfills"
    ours = {"dag_id": "reaper"}

    def active() -> list[Any]:
        found = api._ask("GET", backfills, params=ours)["backfills"]
        return [each for each in found if each["completed_at"] is None]

    # One at a time; and the run of the last hour, which comes by itself, shall not come between.
    until(lambda: active() == [])
    first = until(lambda: next(iter(hourly(api)), None))
    until(lambda: not any(run["state"] in ("queued", "running") for run in hourly(api)))
    begin = datetime.fromisoformat(first["logical_date"]) - timedelta(hours=2)
    last = begin + timedelta(hours=1)
    hours = {"from_date": begin.isoformat(), "to_date": last.isoformat()}
    api._ask("POST", backfills, json={**ours, **hours, "max_active_runs": 1})
    both = hourly(api)[:2]
    assert [run["run_type"] for run in both] == ["backfill", "backfill"]
    return [verdicts(api, run["dag_run_id"]) for run in both]


def hourly(api: AirflowApi) -> list[dict[str, Any]]:
    """The runs of a DAG that have an hour of their own, the earliest hour first."""
    asked = {"order_by": "logical_date", "logical_date_lte": datetime.now(UTC).isoformat()}
    found: list[dict[str, Any]] = api._dag("GET", "dagRuns", params=asked)["dag_runs"]
    return found


def verdicts(api: AirflowApi, run_id: str) -> dict[str, str]:
    """What a run of the reaper says of each application."""
    until(lambda: api.state(run_id) == "success")
    [task] = [task for task in api.tasks(run_id) if task.name == "reap"]
    said = (
        re.match(r"(application_\S+) .* (to be ended|stays): ", x) for x in api.log(run_id, task)
    )
    return {line[1]: line[2] for line in said if line}
