"""What a Spark task does on its first try, on a retry, after a clear and when it is ended.

YARN and HDFS are stand-ins here, for answers that real ones do not give on demand.
"""

import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import date
from threading import Lock
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRuntimeError,
    AirflowSkipException,
    AirflowTaskTimeout,
    ErrorType,
)
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow.sdk.execution_time.context import NEVER_EXPIRE

from millpond.airflow import driver_log, ending, operators, outcomes
from millpond.airflow.generations import Generation
from millpond.airflow.operators import STATE_KEY, YarnSparkOperator
from millpond.airflow.submission import SubmitClient
from millpond.airflow.tasks import analyse_task
from millpond.catalog.analyses import RATING_HISTOGRAM
from millpond.errors import MillpondError
from millpond.lake.receipts import Check, Receipt
from millpond.run import Run
from millpond.yarn import Application, ResourceManager
from tests.receipts import RECEIPT

RUN = Run(date(2026, 11, 22), "g", 1, "manual", "/millpond")
FIRST, SECOND = "01a2-first", "01a2-second"


class World(ResourceManager):
    """YARN, HDFS and Airflow, as far as a task meets them; `did` is what the task did to them."""

    def __init__(self) -> None:
        self.applications: dict[str, Application] = {}
        self.receipt: Receipt | None = None
        self.claimed_by: str | None = None
        self.reports: dict[tuple[str, str], dict[str, Any]] = {}
        self.state: str | None = "running"
        self.store: dict[str, Any] = {}
        self.pushed: dict[str, str] = {}
        self.did: list[str] = []
        self.table = RATING_HISTOGRAM.mart
        self.exported: list[date] = []

    # YARN, and the client that submits to it.

    def start(self, tags: str, state: str = "RUNNING") -> None:
        id_ = f"application_5_{len(self.applications) + 1:04}"
        self.applications[id_] = Application(
            id=id_,
            name="",
            state=state,
            final_status="UNDEFINED",
            diagnostics="",
            tags=frozenset(tags.split(",")),
            asked="",
            log_url="" if state == "ACCEPTED" else f"http://localhost:8042/node/{id_}",
            started=0,
            launched=0,
            finished=0,
        )

    def application(self, id_: str) -> Application:
        return self.applications[id_]

    def tagged(self, tag: str) -> list[Application]:
        return [app for app in self.applications.values() if tag in app.tags]

    def kill(self, id_: str) -> None:
        self.did.append(f"kill {id_[-4:]}")
        self.applications[id_] = replace(self.applications[id_], state="KILLED")

    def room(self) -> str:
        return "2304 of 10240 MB are free"

    def submit(self, command: Sequence[str]) -> None:
        self.did.append("submit")
        [tags] = [part for part in command if part.startswith("spark.yarn.tags=")]
        self.start(tags.partition("=")[2])

    def follow(self, _: ResourceManager, application: Application, *__: object) -> Application:
        """The application publishes."""
        self.did.append(f"follow {application.id[-4:]}")
        assert "_link_YarnLink" in self.pushed, "a person wants to look while it runs"
        assert self.claimed_by is not None
        self.receipt = receipt_of(self.claimed_by.rpartition("-")[0], application.id)
        return replace(application, state="FINISHED")

    # HDFS: the table's current number, and the receipt that counts.

    def number(self, _: date) -> int:
        return 0 if self.receipt is None else self.receipt.number

    def with_hashes(self) -> Iterator[tuple[Receipt, str]]:
        if self.receipt:
            yield self.receipt, self.receipt.sha256()

    def has_commit_of(self, _: str) -> bool:
        return False

    def claim(self, attempt: str) -> None:
        # Whatever dies after this, the next attempt must know that the generation exists.
        assert attempt.startswith(self.store[STATE_KEY]["id"])
        self.did.append(f"claim {attempt}")
        self.claimed_by = attempt

    def claimant(self) -> str | None:
        return self.claimed_by

    def failure(self, generation: str, attempt: str) -> dict[str, Any] | None:
        return self.reports.get((generation, attempt))

    # Airflow.

    def attempt(
        self, id_: str, *, number: int = 1, max_tries: int = 2, clear_number: int = 0
    ) -> Any:
        """The context of an attempt."""
        ti = SimpleNamespace(
            id=id_,
            try_number=number,
            max_tries=max_tries,
            dag_id="daily_analytics",
            task_id="analyse.rating_histogram",
            run_id="manual",
            xcom_push=lambda key, value: self.pushed.update({key: value}),
            get_task_states=lambda **_: {"manual": {"analyse.rating_histogram": self.state}},
        )
        return {
            "ti": ti,
            "run_id": "manual",
            "dag_run": SimpleNamespace(clear_number=clear_number),
            "params": {"ds": "2026-11-22", "only": []},
            "task_state_store": SimpleNamespace(
                get=self.store.get,
                set=self._remember,
            ),
            "outlet_events": {asset: SimpleNamespace(extra={}) for asset in task().outlets},
        }

    def _remember(self, key: str, value: Any, *, retention: Any) -> None:
        assert retention is NEVER_EXPIRE  # a clear may come months later
        self.store[key] = value


def receipt_of(generation: str, application_id: str) -> Receipt:
    return replace(
        RECEIPT, generation=generation, application_id=application_id, rows={"in": 100, "out": 10}
    )


def task() -> YarnSparkOperator:
    return analyse_task(RATING_HISTOGRAM)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    for name in ("Receipts", "StoredTable", "Hdfs"):
        monkeypatch.setattr(outcomes, name, lambda *_: found)
    for name in ("of", "hurried"):
        monkeypatch.setattr(ResourceManager, name, lambda _: found)
    monkeypatch.setattr(outcomes, "bring_up_to_date", lambda *to: found.exported.append(to[-1]))
    monkeypatch.setattr(ExecutorSafeguard, "test_mode", True)
    monkeypatch.setattr(operators, "follow", found.follow)
    monkeypatch.setattr(SubmitClient, "run", lambda _, command: found.submit(command))
    return found


def worker_dies(_: ResourceManager, application: Application, *__: object) -> Application:
    raise KeyboardInterrupt(application.id)


def time_runs_out(_: ResourceManager, application: Application, *__: object) -> Application:
    raise AirflowTaskTimeout(application.id)


def test_a_first_try_claims_the_date_and_submits(world: World) -> None:
    context = world.attempt(FIRST)
    task().execute(context)
    assert world.did == [f"claim {FIRST}-1", "submit", "follow 0001"]
    [event] = context["outlet_events"].values()
    assert event.extra == asdict(receipt_of(FIRST, "application_5_0001"))
    assert world.pushed == {
        # What the reaper knows its wish by.
        "generation": FIRST,
        "_link_YarnLink": "http://127.0.0.1:18088/cluster/app/application_5_0001",
        "_link_LogLink": "http://127.0.0.1:8042/node/application_5_0001",
        "_link_HistoryLink": "http://127.0.0.1:18081/history/application_5_0001/1/jobs/",
    }
    assert world.store[STATE_KEY] == asdict(Generation(FIRST, 2, 0, done=True))


def test_a_retry_adopts_what_still_runs_and_leaves_its_claim(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operators, "follow", worker_dies)
    with pytest.raises(KeyboardInterrupt):
        task().execute(world.attempt(FIRST))
    monkeypatch.setattr(operators, "follow", world.follow)
    world.did = []
    task().execute(world.attempt(SECOND, number=2))
    assert world.did == ["follow 0001"]
    assert world.receipt is not None
    assert world.receipt.generation == FIRST


def test_a_retry_submits_again_what_failed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "follow", worker_dies)
    with pytest.raises(KeyboardInterrupt):
        task().execute(world.attempt(FIRST))
    monkeypatch.setattr(operators, "follow", world.follow)
    world.kill("application_5_0001")
    world.did = []
    task().execute(world.attempt(SECOND, number=2))
    assert world.did == [f"claim {FIRST}-2", "submit", "follow 0002"]


def test_a_refusal_by_rule_is_a_success_with_a_warning(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gate = Check("rmse", "error", passed=False, figure=1.25, minimum=None, maximum=1.0)

    def refuse(yarn: ResourceManager, application: Application, *_: object) -> Application:
        ended = world.follow(yarn, application)
        assert world.receipt is not None
        world.receipt = replace(world.receipt, outcome="refused", checks=(gate,))
        return ended

    monkeypatch.setattr(operators, "follow", refuse)
    task().execute(world.attempt(FIRST))
    assert world.store[STATE_KEY]["done"]
    said = capsys.readouterr().out
    assert "refused rating_histogram 2026-11-22" in said
    assert re.findall(r"\[warning *\] (.*?)  *\[", said) == [
        "rmse is 1.25, which must be at most 1"
    ]


def test_a_retry_of_what_was_published_does_nothing(world: World) -> None:
    task().execute(world.attempt(FIRST))
    [target] = world.applications["application_5_0001"].tags - {
        f"mp-local-{FIRST}",
        f"mp-local-{FIRST}-1",
    }
    world.kill("application_5_0001")
    # Of another run of the same date: not this retry's to end.
    world.start(f"mp-local-other,{target}")
    world.did, world.pushed, world.exported = [], {}, []
    task().execute(world.attempt(SECOND, number=2))
    assert world.did == []
    assert "application_5_0001" in world.pushed["_link_YarnLink"]
    # The application may have died between its commit and its export.
    assert world.exported == [date(2026, 11, 22)]


@pytest.mark.parametrize(
    "cleared", [{"max_tries": 4, "clear_number": 1}, {"max_tries": 2, "clear_number": 1}]
)
def test_a_clear_computes_again_and_ends_what_still_runs(
    world: World, cleared: dict[str, int]
) -> None:
    task().execute(world.attempt(FIRST))
    world.did = []
    task().execute(world.attempt(SECOND, number=2, **cleared))
    # The claim first: a task whose application is ended then knows that it gives way.
    assert world.did == [f"claim {SECOND}-2", "kill 0001", "submit", "follow 0002"]
    assert world.receipt is not None
    assert world.receipt.generation == SECOND


def test_of_two_that_did_not_see_each_other_the_older_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(_: SubmitClient, command: Sequence[str]) -> None:
        world.submit(command)
        world.submit(command)

    monkeypatch.setattr(SubmitClient, "run", both)
    task().execute(world.attempt(FIRST))
    assert world.did == [f"claim {FIRST}-1", "submit", "submit", "kill 0002", "follow 0001"]


def test_a_refused_submission_says_what_there_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: SubmitClient, __: Sequence[str]) -> None:
        raise MillpondError("spark-submit ended with 1: Required AM memory (61440 MB) is above")

    monkeypatch.setattr(SubmitClient, "run", refused)
    with pytest.raises(AirflowException) as raised:
        task().execute(world.attempt(FIRST))
    assert str(raised.value) == (
        "spark-submit ended with 1: Required AM memory (61440 MB) is above; "
        "the cluster: 2304 of 10240 MB are free"
    )


def test_a_submission_that_yarn_does_not_know_is_a_failure(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SubmitClient, "run", lambda *_: None)
    with pytest.raises(AirflowException, match=f"no application with tag mp-local-{FIRST}"):
        task().execute(world.attempt(FIRST))


@pytest.mark.parametrize(
    ("report", "kind", "says"),
    [
        ({"exit_code": 10, "cause": "the file is empty"}, AirflowFailException, "the file is"),
        ({"exit_code": 11, "cause": "rows is 0"}, AirflowFailException, "rows is 0"),
        ({"exit_code": 1, "cause": "disk full"}, AirflowException, "no receipt: disk full"),
        (None, AirflowException, "no receipt: nobody says why"),
    ],
)
def test_bad_data_is_not_tried_again_and_a_fault_is(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    report: dict[str, Any] | None,
    kind: type[Exception],
    says: str,
) -> None:
    if report:
        world.reports[FIRST, "1"] = report
    monkeypatch.setattr(operators, "follow", lambda _, application, *__: application)
    with pytest.raises(kind, match=says) as raised:
        task().execute(world.attempt(FIRST))
    assert type(raised.value) is kind


def test_what_an_adopted_application_reports_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operators, "follow", worker_dies)
    with pytest.raises(KeyboardInterrupt):
        task().execute(world.attempt(FIRST))
    world.reports[FIRST, "1"] = {"exit_code": 10, "cause": "the file is empty"}
    monkeypatch.setattr(operators, "follow", lambda _, application, *__: application)
    with pytest.raises(AirflowFailException, match="the file is empty"):
        task().execute(world.attempt(SECOND, number=2))


def test_a_task_whose_date_another_run_took_over_gives_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overtaken(_: ResourceManager, application: Application, *__: object) -> Application:
        world.claimed_by = "01a3-other-1"
        world.kill(application.id)
        return world.applications[application.id]

    monkeypatch.setattr(operators, "follow", overtaken)
    with pytest.raises(AirflowFailException, match="attempt 01a3-other-1 has claimed 2026-11-22"):
        task().execute(world.attempt(FIRST))


@pytest.mark.parametrize(
    ("state", "did"),
    [
        ("failed", ["kill 0001"]),
        ("success", ["kill 0001"]),
        ("restarting", ["kill 0001"]),
        ("skipped", ["kill 0001"]),
        # The worker is shut down: a retry will find the application.
        ("running", ["follow 0001"]),
        # Airflow has lost sight of this try, and the next one is on its way.
        ("up_for_retry", ["follow 0001"]),
        (None, ["follow 0001"]),
        ("scheduled", ["follow 0001"]),
        ("queued", ["follow 0001"]),
    ],
)
def test_an_application_ends_with_its_task_but_not_with_its_worker(
    world: World, monkeypatch: pytest.MonkeyPatch, state: str | None, did: list[str]
) -> None:
    operator, context = task(), world.attempt(FIRST)
    world.state = state

    def killed_midway(yarn: ResourceManager, application: Application, *_: object) -> Application:
        world.did = []
        operator.on_kill()
        return world.follow(yarn, application)

    monkeypatch.setattr(operators, "get_current_context", lambda: context)
    monkeypatch.setattr(operators, "follow", killed_midway)
    if did == ["follow 0001"]:
        operator.execute(context)
    else:
        with pytest.raises(AirflowException, match="ended from outside"):
            operator.execute(context)
    assert world.did == did


TALKING = Lock()


def an_error(**_: object) -> None:
    raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))


def no_run(**_: object) -> dict[str, Any]:
    return {}


def no_answer(**_: object) -> dict[str, Any]:
    with TALKING:  # the signal came while the task asked something else
        return {"manual": {"analyse.rating_histogram": "running"}}


@pytest.mark.parametrize("answer", [an_error, no_run, no_answer])
def test_in_doubt_killed_means_killed(
    world: World, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    operator, context = task(), world.attempt(FIRST)

    def killed_midway(*_: object) -> None:
        world.did = []
        with TALKING:
            operator.on_kill()

    context["ti"].get_task_states = answer
    monkeypatch.setattr(ending, "ASK_SECONDS", 0.1)
    monkeypatch.setattr(operators, "get_current_context", lambda: context)
    monkeypatch.setattr(operators, "follow", killed_midway)
    with pytest.raises(AirflowException, match="ended from outside"):
        operator.execute(context)
    assert world.did == ["kill 0001"]


def test_a_time_out_ends_the_application(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "follow", time_runs_out)
    with pytest.raises(AirflowTaskTimeout):
        task().execute(world.attempt(FIRST))
    assert world.did == [f"claim {FIRST}-1", "submit", "kill 0001"]


def test_what_is_known_is_ended_even_if_a_list_cannot_be_had_in_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_slow(_: str) -> list[Application]:
        raise MillpondError("no ResourceManager answers")

    world.start("mp-local-g,mp-local-g-1")
    monkeypatch.setattr(world, "tagged", too_slow)
    with pytest.raises(MillpondError, match="no ResourceManager answers"):
        ending.end_generation(world, "mp-local-g", world.application("application_5_0001"))
    assert world.did == ["kill 0001"]


def test_an_application_that_does_not_end_is_said_not_to(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(operators, "follow", time_runs_out)
    monkeypatch.setattr(ending, "KILL_SECONDS", 0)
    monkeypatch.setattr(world, "kill", lambda _: None)
    with pytest.raises(AirflowTaskTimeout):
        task().execute(world.attempt(FIRST))
    assert "application_5_0001 was told to end and is still RUNNING" in capsys.readouterr().out


def test_the_time_out_of_an_orphan_leaves_the_application_to_the_next_try(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    parents = iter([100, 1])  # its supervisor, and who takes in whose parent has died
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    monkeypatch.setattr(operators, "follow", time_runs_out)
    with pytest.raises(AirflowTaskTimeout):
        task().execute(world.attempt(FIRST))
    assert world.did == [f"claim {FIRST}-1", "submit"]


def test_a_task_killed_before_it_looks_for_applications_ends_an_earlier_trys(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.store[STATE_KEY] = asdict(Generation(FIRST, 2, 0))
    world.start(f"mp-local-{FIRST},mp-local-{FIRST}-1")
    world.state = "failed"
    operator, context, tagged = task(), world.attempt(SECOND, number=2), world.tagged

    def killed_first(tag: str) -> list[Application]:
        monkeypatch.setattr(world, "tagged", tagged)
        operator.on_kill()
        return tagged(tag)

    monkeypatch.setattr(world, "tagged", killed_first)
    monkeypatch.setattr(operators, "get_current_context", lambda: context)
    with pytest.raises(AirflowException, match="ended from outside"):
        operator.execute(context)
    assert world.did == ["kill 0001"]


def test_a_task_killed_before_anything_else_does_not_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.state, context = "failed", world.attempt(FIRST)
    monkeypatch.setattr(operators, "get_current_context", lambda: context)
    world.start("mp-local-other")
    with pytest.raises(AirflowException, match="ended from outside"):
        task().on_kill()
    assert world.did == []


def test_what_was_on_its_way_when_its_client_was_killed_is_ended_too(world: World) -> None:
    world.start("mp-local-g,mp-local-g-1")
    known = world.application("application_5_0001")
    world.start("mp-local-g,mp-local-g-1")
    ending.end_generation(world, "mp-local-g", known)
    assert world.did == ["kill 0001", "kill 0002"]


def test_after_it_has_ended_there_is_nothing_to_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = task()
    monkeypatch.setattr(operators, "follow", lambda _, application, *__: application)
    with pytest.raises(AirflowException, match="nobody says why"):
        operator.execute(world.attempt(FIRST))
    world.did = []
    operator.on_kill()  # would ask for a context that is no more
    assert world.did == []


def test_a_run_for_other_analyses_skips_the_task(world: World) -> None:
    context = world.attempt(FIRST)
    context["params"]["only"] = ["word_counts"]
    with pytest.raises(AirflowSkipException, match="this run is only for word_counts"):
        task().execute(context)
    assert world.did == []


def test_a_fault_ends_with_the_drivers_last_lines_and_their_first_cause(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", driver_log.__name__)
    said = ["Traceback (most recent call last):", "ValueError: no such station", "bye"]
    monkeypatch.setattr(
        driver_log, "last_lines", lambda url, _: {"stdout": said} if "0001" in url else {}
    )
    monkeypatch.setattr(operators, "follow", lambda _, application, *__: application)
    with pytest.raises(AirflowException, match="nobody says why"):
        task().execute(world.attempt(FIRST))
    assert caplog.messages == [
        "the driver's last 3 lines, stdout:",
        *said,
        "first cause: ValueError: no such station",
    ]


def test_one_that_fails_once_it_has_published_is_a_success_that_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails_late(yarn: ResourceManager, application: Application, *_: object) -> Application:
        return replace(
            world.follow(yarn, application), final_status="FAILED", diagnostics="status 1"
        )

    operator, warned = task(), list[tuple[str, ...]]()
    monkeypatch.setattr(operator.log, "warning", lambda *what: warned.append(what))
    monkeypatch.setattr(operators, "follow", fails_late)
    operator.execute(world.attempt(FIRST))
    assert world.store[STATE_KEY]["done"]
    [(said, *values)] = warned
    assert said % tuple(values) == (
        "application_5_0001 failed once it had published, and the receipt counts; "
        "YARN says: status 1"
    )


def test_an_hdfs_that_is_away_as_the_application_ends_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    number, away = world.number, [MillpondError("HDFS is away")] * 3

    def published(yarn: ResourceManager, application: Application, *_: object) -> Application:
        def away_at_first(ds: date) -> int:
            if away:
                raise away.pop()
            return number(ds)

        monkeypatch.setattr(world, "number", away_at_first)
        return world.follow(yarn, application)

    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(operators, "follow", published)
    task().execute(world.attempt(FIRST))
    assert world.store[STATE_KEY]["done"]
    assert [record for record in caplog.records if record.name == driver_log.__name__] == []


def test_a_sentence_of_the_applications_own_needs_no_log(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.reports[FIRST, "1"] = {"exit_code": 10, "cause": "the file is empty"}
    asked: list[str] = []
    monkeypatch.setattr(operators, "quote", lambda url, _: asked.append(url))
    monkeypatch.setattr(operators, "follow", lambda _, application, *__: application)
    with pytest.raises(AirflowFailException):
        task().execute(world.attempt(FIRST))
    assert asked == []


def test_an_attempt_that_airflow_has_given_up_does_not_take_the_claim_back(world: World) -> None:
    # Its process was stopped before it claimed, and wakes up beside the next attempt.
    world.claimed_by = f"{FIRST}-2"
    with pytest.raises(AirflowFailException, match="comes too late: attempt 2 of the same gener"):
        task().execute(world.attempt(FIRST, number=1))
    assert world.did == []
    assert world.claimed_by == f"{FIRST}-2"


def test_of_two_attempts_alive_the_one_that_holds_the_claim_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(_: SubmitClient, command: Sequence[str]) -> None:
        world.start(f"mp-local-{FIRST},mp-local-{FIRST}-1")  # the stopped process was faster
        world.submit(command)

    world.store[STATE_KEY] = asdict(Generation(FIRST, 2, 0))
    monkeypatch.setattr(SubmitClient, "run", both)
    task().execute(world.attempt(SECOND, number=2))
    assert world.did == [f"claim {FIRST}-2", "submit", "kill 0001", "follow 0002"]


def test_one_that_wakes_up_after_the_next_attempt_has_submitted_ends_its_own(world: World) -> None:
    # It had looked for others, found none, and was stopped.
    world.start(f"mp-local-{FIRST},mp-local-{FIRST}-2")
    tags = (f"mp-local-{FIRST}", f"mp-local-{FIRST}-1")
    followed = task()._submit(world, replace(RUN, generation=FIRST), tags)
    assert world.did == ["submit", "kill 0002"]
    assert followed.id == "application_5_0001"


def test_a_param_of_the_run_makes_every_try_a_generation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operators, "follow", worker_dies)
    first, second = world.attempt(FIRST), world.attempt(SECOND, number=2)
    for context in (first, second):
        context["params"]["anew"] = True
    with pytest.raises(KeyboardInterrupt):
        task().execute(first)
    monkeypatch.setattr(operators, "follow", world.follow)
    world.did = []
    task().execute(second)
    assert world.did == [f"claim {SECOND}-2", "kill 0001", "submit", "follow 0002"]


def test_driver_and_executors_have_the_same_environment(world: World) -> None:
    operator = task()
    operator.env_vars = {"TZ": "UTC"}
    command = operator.command(RUN, ("mp-local-g",))
    assert "spark.yarn.appMasterEnv.TZ=UTC" in command
    assert "spark.executorEnv.TZ=UTC" in command


def test_what_a_site_brings_along_and_sizes_are_templated() -> None:
    operator = YarnSparkOperator(
        task_id="analyse.x",
        application="x.py",
        table=RATING_HISTOGRAM.mart,
        analyses=(),
        archives="hdfs:///envs/{{ run_id }}.tgz#env",
        py_files="hdfs:///libraries/{{ run_id }}.zip",
        yarn_queue="{{ run_id }}",
        driver_memory="{{ memory }}",
        executor_memory="{{ memory }}",
        executor_cores="{{ few }}",
        num_executors="{{ few }}",
    )
    given: Any = {"run_id": "r1", "memory": "768m", "few": 3}
    operator.render_template_fields(given)
    command = operator.command(RUN, ("mp-local-g",))
    for option, value in (
        ("--archives", "hdfs:///envs/r1.tgz#env"),
        ("--py-files", "hdfs:///libraries/r1.zip"),
        ("--queue", "r1"),
        ("--driver-memory", "768m"),
        ("--executor-memory", "768m"),
        ("--executor-cores", "3"),
        ("--num-executors", "3"),
    ):
        assert command[command.index(option) + 1] == value


def test_a_secret_in_the_configuration_is_refused() -> None:
    with pytest.raises(ValueError, match="API_TOKEN would be on the command line"):
        YarnSparkOperator(
            task_id="analyse.x",
            application="x.py",
            table=RATING_HISTOGRAM.mart,
            analyses=(),
            env_vars={"API_TOKEN": "hush"},
        )
