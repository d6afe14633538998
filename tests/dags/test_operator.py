"""What the operator decides: submit, adopt or end; wait on or give up; success or which failure.

The ResourceManager and HDFS are stand-ins here, for answers that real ones do not give on demand;
tests/integration has the real ones.
"""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time.context import NEVER_EXPIRE

from millpond.airflow import operators
from millpond.airflow.generations import generation_tag, target_tag
from millpond.airflow.operators import STATE_KEY, YarnSparkOperator
from millpond.catalog.analyses import RATING_HISTOGRAM
from millpond.errors import MillpondError
from millpond.lake.receipts import Receipt
from millpond.yarn import Application

D = date(2026, 11, 22)
ATTEMPT = "0199-first"


def application(id_: str, state: str = "RUNNING", *tags: str) -> Application:
    return Application(id_, state, "UNDEFINED", "", frozenset(tags), "", "", 1, 2, 3)


def receipt(generation: str) -> Receipt:
    return Receipt(
        table="rating_histogram",
        ds=str(D),
        number=1,
        outcome="published",
        run_id="run",
        generation=generation,
        attempt="1",
        application_id="application_1_0001",
        inputs=(),
        rows={"in": 2, "out": 1},
        checks=(),
        code_version="",
        seconds={"session": 1.0},
        with_tables={},
        written_at="",
    )


class World:
    """YARN, HDFS and spark-submit: what they hold, and what was done to them."""

    def __init__(self) -> None:
        self.applications: dict[str, Application] = {}
        self.published: Receipt | None = None
        self.report: dict[str, Any] | None = None
        self.events: list[str] = []
        # What the ResourceManager answers to the next questions about one application.
        self.answers: list[Application | MillpondError | None] = []
        self.on_submit: Any = lambda: None

    # As a ResourceManager.
    def tagged(self, tag: str) -> list[Application]:
        found = [app for app in self.applications.values() if tag in app.tags]
        return sorted(found, key=lambda app: app.number)

    def application(self, id_: str) -> Application | None:
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, MillpondError):
                raise answer
            return answer
        return self.applications.get(id_)

    def kill(self, id_: str) -> None:
        self.events.append(f"kill {id_}")
        self.applications[id_] = replace(self.applications[id_], state="KILLED")

    def room(self) -> str:
        return "1 of 4 MB are free"

    # As Receipts and as a StoredTable.
    def claim(self, attempt: str) -> None:
        self.events.append(f"claim {attempt}")

    def read(self, number: int) -> Receipt | None:
        return self.published if number else None

    def number(self, _: date) -> int:
        return int(self.published is not None)

    def failure(self, *_: str) -> dict[str, Any] | None:
        return self.report

    # As spark-submit.
    def submit(self, _: Any, run: Any, tags: tuple[str, ...]) -> None:
        self.events.append(f"submit {run.name}")
        id_ = f"application_1_{len(self.applications) + 1:04}"
        self.applications[id_] = application(id_, "RUNNING", *tags)
        self.on_submit()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    here = World()
    for name in ("ResourceManager", "Receipts", "StoredTable", "Hdfs"):
        monkeypatch.setattr(operators, name, lambda *_: here)
    monkeypatch.setattr(YarnSparkOperator, "_submit", lambda _, *given: here.submit(*given))
    monkeypatch.setattr(operators, "POLL_SECONDS", 0)
    return here


class TaskInstance:
    """A try of the task, and what it left for its page."""

    def __init__(self, id_: str, number: int, max_tries: int) -> None:
        self.id, self.try_number, self.max_tries = id_, number, max_tries
        self.dag_id, self.task_id, self.run_id = "daily", "analyse", "run"
        self.pushed: dict[str, str] = {}
        self.state = "failed"

    def xcom_push(self, key: str, value: str) -> None:
        self.pushed[key] = value

    def get_task_states(self, **_: Any) -> dict[str, Any]:
        return {"run": {"analyse": self.state}}


class Store(dict[str, Any]):
    """The task's state store."""

    def set(self, key: str, value: Any, *, retention: Any) -> None:
        assert retention is NEVER_EXPIRE
        self[key] = value


def context(
    store: Store, *, id_: str = ATTEMPT, number: int = 1, max_tries: int = 2, only: Any = ()
) -> dict[str, Any]:
    return {
        "ti": TaskInstance(id_, number, max_tries),
        "run_id": "run",
        "dag_run": type("DagRun", (), {"clear_number": 0}),
        "params": {"ds": None, "only": list(only)},
        "data_interval_start": datetime(2026, 11, 22, tzinfo=UTC),
        "task_state_store": store,
        "outlet_events": {},
    }


def operator() -> YarnSparkOperator:
    return YarnSparkOperator(
        task_id="analyse",
        application="app.py",
        table=RATING_HISTOGRAM.mart,
        analyses=("rating_histogram",),
    )


def finish(world: World, generation: str = ATTEMPT) -> None:
    """The application that was submitted last ends well."""
    newest = max(world.applications.values(), key=lambda app: app.number)
    world.applications[newest.id] = replace(newest, state="FINISHED", final_status="SUCCEEDED")
    world.published = receipt(generation)


def tags(op: YarnSparkOperator, generation: str) -> tuple[str, str]:
    made = type("Generation", (), {"id": generation})()
    return (
        generation_tag("local", made),
        target_tag("local", op.dag_id, op.task_id, D),
    )


def test_a_first_try_claims_submits_and_succeeds_by_its_receipt(world: World) -> None:
    world.on_submit = lambda: finish(world)
    store, op = Store(), operator()
    given = context(store)
    op.execute(given)
    assert world.events == ["claim 0199-first-1", "submit 0199-first-1"]
    assert store[STATE_KEY]["done"] is True
    assert given["ti"].pushed == {
        "_link_YarnLink": "http://127.0.0.1:18088/cluster/app/application_1_0001",
        "_link_HistoryLink": "http://127.0.0.1:18081/history/application_1_0001/1/jobs/",
    }


def test_a_retry_adopts_the_application_and_leaves_the_claim(world: World) -> None:
    store, op = Store(), operator()
    world.applications["application_1_0001"] = application(
        "application_1_0001", "RUNNING", *tags(op, ATTEMPT)
    )
    world.answers = [replace(world.applications["application_1_0001"], state="FINISHED")]
    store[STATE_KEY] = {"id": ATTEMPT, "max_tries": 2, "clear_number": 0, "done": False}
    world.published = None

    def publish_while_followed(_: date) -> int:
        world.published = receipt(ATTEMPT) if not world.answers else None
        return int(world.published is not None)

    world.number = publish_while_followed  # type: ignore[method-assign]
    op.execute(context(store, id_="0199-second", number=2))
    assert world.events == []
    assert op.application_id == "application_1_0001"


def test_a_retry_that_finds_its_receipt_has_nothing_to_do(world: World) -> None:
    store = Store()
    store[STATE_KEY] = {"id": ATTEMPT, "max_tries": 2, "clear_number": 0, "done": False}
    world.published = receipt(ATTEMPT)
    operator().execute(context(store, id_="0199-second", number=2))
    assert world.events == []
    assert store[STATE_KEY]["done"] is True


def test_a_clear_ends_the_older_generations_application_and_submits(world: World) -> None:
    store, op = Store(), operator()
    store[STATE_KEY] = {"id": ATTEMPT, "max_tries": 2, "clear_number": 0, "done": True}
    world.published = receipt(ATTEMPT)  # what was published before does not count
    world.applications["application_1_0001"] = application(
        "application_1_0001", "RUNNING", *tags(op, ATTEMPT)
    )
    world.on_submit = lambda: finish(world, "0199-cleared")
    op.execute(context(store, id_="0199-cleared", number=3, max_tries=5))
    assert world.events == [
        "kill application_1_0001",
        "claim 0199-cleared-3",
        "submit 0199-cleared-3",
    ]


def test_of_two_that_were_submitted_the_older_stays(world: World) -> None:
    op = operator()

    def another_try_submits_too() -> None:
        id_ = "application_1_0002"
        world.applications[id_] = application(id_, "ACCEPTED", *tags(op, ATTEMPT))
        world.answers = [
            None,  # the younger one is gone at once when it is asked for
            replace(world.applications["application_1_0001"], state="FINISHED"),
        ]
        world.published = receipt(ATTEMPT)

    world.published = None
    world.on_submit = another_try_submits_too
    op.execute(context(Store()))
    assert "kill application_1_0002" in world.events
    assert op.application_id == "application_1_0001"


@pytest.mark.parametrize(
    ("report", "kind", "says"),
    [
        (
            {"exit_code": 10, "cause": "the file is empty"},
            AirflowFailException,
            "the file is empty",
        ),
        ({"exit_code": 11, "cause": "rows is 0"}, AirflowFailException, "rows is 0"),
        ({"exit_code": 12, "cause": "claimed by x"}, AirflowFailException, "claimed by x"),
        ({"exit_code": 1, "cause": "disk full"}, AirflowException, "without a receipt: disk full"),
        (None, AirflowException, "without a receipt: it left no cause"),
    ],
)
def test_the_exit_code_decides_whether_it_is_tried_again(
    world: World, report: dict[str, Any] | None, kind: type[Exception], says: str
) -> None:
    def fail() -> None:
        finish(world)
        world.published, world.report = None, report

    world.on_submit = fail
    with pytest.raises(kind, match=says) as raised:
        operator().execute(context(Store()))
    assert type(raised.value) is kind


def test_an_application_that_yarn_forgot_is_judged_by_its_receipt(world: World) -> None:
    def forget() -> None:
        world.answers = [None]
        world.published = receipt(ATTEMPT)

    world.on_submit = forget
    operator().execute(context(Store()))
    assert world.events == ["claim 0199-first-1", "submit 0199-first-1"]


def test_a_resourcemanager_that_is_away_for_a_while_is_asked_again(world: World) -> None:
    def away_then_back() -> None:
        running = world.applications["application_1_0001"]
        silence = MillpondError("no ResourceManager answers")
        world.answers = [silence, silence, silence, replace(running, state="FINISHED")]
        world.published = receipt(ATTEMPT)

    world.on_submit = away_then_back
    operator().execute(context(Store()))
    assert world.answers == []


def test_one_that_stays_away_ends_the_try(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "SILENCE_SECONDS", -1)
    world.on_submit = lambda: world.answers.append(MillpondError("no ResourceManager answers"))
    with pytest.raises(AirflowException, match="no ResourceManager answers"):
        operator().execute(context(Store()))


@pytest.mark.parametrize(("state", "killed"), [("failed", True), ("running", False)])
def test_a_kill_ends_the_application_and_a_worker_shutdown_does_not(
    world: World, monkeypatch: pytest.MonkeyPatch, state: str, *, killed: bool
) -> None:
    op, given = operator(), context(Store())
    given["ti"].state = state
    monkeypatch.setattr(operators, "get_current_context", lambda: given)
    world.on_submit = op._stopped.set
    with pytest.raises(AirflowException, match="application_1_0001 was ended with this task"):
        op.execute(given)
    op.on_kill()
    assert ("kill application_1_0001" in world.events) is killed


def test_a_kill_before_anything_was_submitted_is_quiet(world: World) -> None:
    operator().on_kill()
    assert world.events == []


def test_an_application_that_does_not_end_is_said_not_to(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(operators, "KILL_SECONDS", 0)
    world.applications["application_1_0001"] = application("application_1_0001")
    monkeypatch.setattr(world, "kill", lambda _: None)
    with pytest.raises(MillpondError, match="was told to end and is still RUNNING after 0 s"):
        operators._end(world, "application_1_0001")  # type: ignore[arg-type]


def test_a_run_for_other_analyses_skips_the_task(world: World) -> None:
    with pytest.raises(AirflowSkipException, match="this run is only for word_counts"):
        operator().execute(context(Store(), only=["word_counts"]))
    assert world.events == []
