"""Running the daily DAG over Airflow's REST API, and following it."""

import json
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from millpond.catalog.settings import Settings
from millpond.cli import runs
from millpond.cli.airflow_api import AirflowApi
from millpond.errors import MillpondError
from tests.unit.answers import Answer, Answers

D = date(2026, 11, 22)
DAG = "/api/v2/dags/daily_analytics"


class Airflow:
    """A server that has the given run, whose states follow one another as it is asked."""

    def __init__(
        self, existing: str | None, states: list[str], tasks: list[dict[str, Any]]
    ) -> None:
        self.existing, self.states, self.tasks = existing, states, tasks
        self.answers = Answers(self.answer)

    def answer(self, method: str, url: str) -> Answer:
        path = urlsplit(url).path
        if path == "/auth/token":
            return 201, {"access_token": "t"}
        if (method, path) == ("GET", f"{DAG}/dagRuns"):
            run = {"dag_run_id": "old", "state": self.existing}
            return 200, {"dag_runs": [run] if self.existing else []}
        if (method, path) == ("POST", f"{DAG}/dagRuns"):
            return 200, {"dag_run_id": "new"}
        if path == f"{DAG}/details":
            return 200, {"start_date": "2020-01-01T00:00:00Z"}
        if path.endswith("/taskInstances"):
            return 200, {"task_instances": self.tasks}
        if "/logs/" in path:
            said = ["::group::Pre Execute", "queue: default", "::endgroup::", "it is RUNNING"]
            said += ["::group::interrupted", "bringing jars"]
            detail = [{"exc_type": "AirflowException", "exc_value": "no source file"}]
            failure = {"event": "Task failed", "error_detail": detail}
            return 200, {"content": [*({"event": line} for line in said), failure]}
        if method == "GET":
            return 200, {"state": self.states.pop(0)}
        return 200, {}

    def changes(self) -> list[tuple[str, str, Any]]:
        """What it was told to do, but the login."""
        return [
            (method, urlsplit(url).path.removeprefix(DAG), body)
            for method, url, body in self.answers.asked
            if method != "GET" and "/auth/" not in url
        ]


TASK = {"task_id": "stage.ratings", "state": "success", "try_number": 1, "start_date": "2026"}


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    passwords = tmp_path / "airflow" / "passwords.json"
    passwords.parent.mkdir()
    passwords.write_text(json.dumps({"admin": "hunter2"}))
    return Settings.from_env({"MILLPOND_HOME": str(tmp_path)})


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Any:
    def mount(airflow: Airflow) -> Airflow:
        session = requests.Session()
        session.mount("http://", airflow.answers)
        monkeypatch.setattr(requests, "Session", lambda: session)
        monkeypatch.setattr(runs, "POLL_SECONDS", 0)
        return airflow

    return mount


def test_a_new_day_gets_a_run_that_owns_its_interval(here: Settings, serve: Any) -> None:
    airflow = serve(Airflow(None, ["queued", "running", "success"], [TASK]))
    runs.run_day(here, D, {"only": [], "restage": False, "set": {}})
    assert airflow.changes() == [
        (
            "POST",
            "/dagRuns",
            {
                "logical_date": "2026-11-22T00:00:00+00:00",
                "data_interval_start": "2026-11-22T00:00:00+00:00",
                "data_interval_end": "2026-11-23T00:00:00+00:00",
            },
        ),
        # After the run is there: the scheduler makes a run of yesterday as soon as it may.
        ("PATCH", "", {"is_paused": False}),
    ]
    asked = parse_qs(urlsplit(airflow.answers.asked[1][1]).query)
    assert asked["logical_date_gte"] == asked["logical_date_lte"] == ["2026-11-22T00:00:00+00:00"]


def test_a_run_that_the_scheduler_makes_meanwhile_is_followed(
    here: Settings, serve: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    class Quick(Airflow):
        """Its scheduler makes the run between a look for it and the order to make it."""

        def answer(self, method: str, url: str) -> Answer:
            if (method, urlsplit(url).path) == ("POST", f"{DAG}/dagRuns"):
                self.existing = "queued"
                return 409, {"detail": "Unique constraint violation"}
            return super().answer(method, url)

    airflow = serve(Quick(None, ["running", "success"], [TASK]))
    runs.run_day(here, D, {})
    assert "the run of 2026-11-22 is on its way already" in capsys.readouterr().err
    assert [method for method, _, _ in airflow.changes()] == ["POST", "PATCH"]


def test_a_day_before_the_dags_first_is_refused(here: Settings, serve: Any) -> None:
    airflow = serve(Airflow(None, [], []))
    with pytest.raises(MillpondError) as raised:
        runs.run_day(here, date(2019, 12, 31), {})
    assert str(raised.value) == (
        "2019-12-31 is before the first day of daily_analytics, which is 2020-01-01; choose that "
        "one or a later one"
    )
    assert airflow.changes() == []


def test_a_finished_run_is_cleared_and_computed_anew(here: Settings, serve: Any) -> None:
    airflow = serve(Airflow("success", ["queued", "success"], [TASK]))
    runs.run_day(here, D, {"only": [], "restage": False, "set": {}})
    assert airflow.changes()[0] == ("POST", "/dagRuns/old/clear", {"dry_run": False})


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_run_on_its_way_is_only_followed(here: Settings, serve: Any, state: str) -> None:
    airflow = serve(Airflow(state, ["success"], [TASK]))
    runs.run_day(here, D, {"only": [], "restage": False, "set": {}})
    assert [path for _, path, _ in airflow.changes()] == [""]


def test_a_run_with_params_stands_outside_the_schedule(here: Settings, serve: Any) -> None:
    airflow = serve(Airflow("success", ["success"], [TASK]))
    params = {"only": ["rating_histogram"], "restage": True, "set": {"als_rank": 20}}
    runs.run_day(here, D, params)
    assert airflow.changes()[0] == (
        "POST",
        "/dagRuns",
        {"logical_date": None, "conf": {"ds": "2026-11-22", **params}},
    )


def test_progress_is_one_line_for_each_change(
    here: Settings, serve: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = {**TASK, "task_id": "complete", "state": None, "start_date": None}
    again = {**TASK, "task_id": "conform.ratings", "state": "running", "try_number": 2}
    queued = {**TASK, "task_id": "stage.movies", "state": "queued"}
    serve(Airflow(None, ["running", "running", "success"], [waiting, queued, TASK, again]))
    runs.run_day(here, D, {"only": [], "restage": False, "set": {}})
    lines = [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()[1:]]
    assert lines == ["conform.ratings running (try 2)", "stage.ratings success"]


def test_a_failure_ends_with_what_the_task_said_last(here: Settings, serve: Any) -> None:
    failed = {**TASK, "state": "failed", "try_number": 3}
    serve(Airflow(None, ["running", "failed"], [failed]))
    with pytest.raises(MillpondError) as raised:
        runs.run_day(here, D, {"only": [], "restage": False, "set": {}})
    assert str(raised.value) == (
        f"stage.ratings failed; see {here.airflow_url}/dags/daily_analytics/runs/new\n"
        "    it is RUNNING\n"
        "    Task failed AirflowException: no source file"
    )


def test_what_does_not_exist_is_refused_before_anything_is_asked() -> None:
    with pytest.raises(MillpondError, match="there is no analysis 'rating_histo'; did you mean ra"):
        runs.run("2020-01-05", only=["rating_histo"])
    of_these = "there is no parameter of these analyses"
    with pytest.raises(MillpondError, match=f"{of_these} 'als'; choose from als_rank, iterations"):
        runs.run("2020-01-05", set_=["als=2"])
    with pytest.raises(MillpondError, match=f"{of_these} 'als_rank'; there are none"):
        runs.run("2020-01-05", only=["rating_histogram"], set_=["als_rank=2"])
    with pytest.raises(MillpondError, match="--set is 'als_rank'; write NAME=VALUE, such as als_r"):
        runs.run("2020-01-05", set_=["als_rank"])
    with pytest.raises(
        MillpondError, match="parameter als_rank is 'two'; give a whole number from"
    ):
        runs.run("2020-01-05", set_=["als_rank=two"])


def test_without_airflow_the_sentence_says_how_to_start_it(here: Settings, serve: Any) -> None:
    airflow = Airflow(None, [], [])
    airflow.answers = Answers(lambda *_: requests.ConnectionError())
    serve(airflow)
    with pytest.raises(MillpondError) as raised:
        AirflowApi(here)
    assert str(raised.value) == (
        f"Airflow does not answer at {here.airflow_url} (ConnectionError); `millpond up` starts "
        "it, MILLPOND_AIRFLOW_URL says where it is"
    )


def test_a_refusal_is_shown_with_its_reason(here: Settings, serve: Any) -> None:
    airflow = Airflow(None, [], [])
    airflow.answers = Answers(lambda *_: (401, {"detail": "Invalid credentials"}))
    serve(airflow)
    with pytest.raises(MillpondError, match="Airflow answered 401 to POST .*Invalid credentials"):
        AirflowApi(here)


def test_a_missing_password_is_named_with_its_file(tmp_path: Path) -> None:
    here = Settings.from_env({"MILLPOND_HOME": str(tmp_path)})
    with pytest.raises(MillpondError, match=r"no password of admin in .*airflow/passwords.json; "):
        AirflowApi(here)
