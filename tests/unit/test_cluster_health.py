import json
import os
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest
import requests

from millpond.cluster import health

ME = psutil.Process(os.getpid())


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What local addresses answer, by the end of their path or query."""
    answers: dict[str, Any] = {}

    def fetch(url: str, params: dict[str, str] | None = None) -> Any:
        asked = url + "".join((params or {}).values())
        return next(answer for end, answer in answers.items() if asked.endswith(end))

    monkeypatch.setattr(health, "fetch_json", fetch)
    return answers


def test_namenode_in_safe_mode_says_why_and_how_to_leave_it(answers: dict[str, Any]) -> None:
    probe = health.namenode("http://nn", "java LeaveSafeMode")
    text = 'Safe mode is ON. Resources are low. Use "hdfs dfsadmin -safemode leave" to leave.'
    answers["name=NameNodeInfo"] = {"beans": [{"Safemode": text}]}
    why = probe(ME)
    assert why is not None
    assert why.startswith("Safe mode is ON. Resources are low;")
    assert why.endswith("java LeaveSafeMode")
    assert "hdfs dfsadmin" not in why
    answers["name=NameNodeInfo"] = {"beans": [{"Safemode": ""}]}
    assert probe(ME) is None


@pytest.mark.parametrize(("state", "healthy"), [("RUNNING", True), ("CONNECTING", False)])
def test_datanode_is_healthy_once_linked(
    answers: dict[str, Any],
    state: str,
    healthy: bool,  # noqa: FBT001  a table's column
) -> None:
    actors = json.dumps([{"ActorState": state}])
    answers["name=DataNodeInfo"] = {"beans": [{"BPServiceActorInfo": actors}]}
    assert (health.datanode("http://dn")(ME) is None) == healthy


def test_resourcemanager_is_healthy_once_started(answers: dict[str, Any]) -> None:
    answers["cluster/info"] = {"clusterInfo": {"state": "INITED"}}
    assert health.resourcemanager("http://rm")(ME) == "it is INITED"
    answers["cluster/info"] = {"clusterInfo": {"state": "STARTED"}}
    assert health.resourcemanager("http://rm")(ME) is None


def test_nodemanager_passes_its_own_report_on(answers: dict[str, Any]) -> None:
    report = "1/1 local-dirs usable space is below the threshold"
    answers["node/info"] = {"nodeInfo": {"nodeHealthy": False, "healthReport": report}}
    assert health.nodemanager("http://nm", "http://rm")(ME) == f"it is unhealthy: {report}"


def test_nodemanager_is_healthy_once_counted(answers: dict[str, Any]) -> None:
    answers["node/info"] = {"nodeInfo": {"nodeHealthy": True}}
    answers["cluster/metrics"] = {"clusterMetrics": {"activeNodes": 0}}
    probe = health.nodemanager("http://nm", "http://rm")
    assert probe(ME) == "the ResourceManager does not count it yet"
    answers["cluster/metrics"] = {"clusterMetrics": {"activeNodes": 1}}
    assert probe(ME) is None


def test_airflow_part_is_healthy_by_a_heartbeat_of_its_own(answers: dict[str, Any]) -> None:
    def beat(seconds_after_start: float) -> None:
        at = datetime.fromtimestamp(ME.create_time() + seconds_after_start, UTC).isoformat()
        scheduler = {"status": "healthy", "latest_scheduler_heartbeat": at}
        answers["monitor/health"] = {"scheduler": scheduler}

    probe = health.airflow_component("http://af", "scheduler")
    beat(-3)  # of a scheduler that was killed, and is still called healthy
    assert probe(ME) == "its first heartbeat has not come yet"
    beat(+3)
    assert probe(ME) is None


def test_airflow_part_that_airflow_calls_unhealthy_is(answers: dict[str, Any]) -> None:
    answers["monitor/health"] = {"metadatabase": {"status": "unhealthy"}}
    probe = health.airflow_component("http://af", "metadatabase")
    assert probe(ME) == "Airflow's monitor calls it unhealthy"


def test_no_answer_is_unhealthy_and_says_where() -> None:
    def probe(_: psutil.Process) -> str | None:
        request = requests.Request("GET", "http://127.0.0.1:23088/ws").prepare()
        raise requests.ConnectionError(request=request)

    why = health.why_unhealthy(probe, ME)
    assert why == "http://127.0.0.1:23088/ws does not answer (ConnectionError)"


def test_a_daemon_that_is_starting_has_no_beans(answers: dict[str, Any]) -> None:
    answers["name=NameNodeInfo"] = {"beans": []}
    why = health.why_unhealthy(health.namenode("http://nn", "leave"), ME)
    assert why == "it answers what was not expected: http://nn has no NameNodeInfo yet"


def test_a_strange_answer_is_unhealthy() -> None:
    def probe(_: psutil.Process) -> str | None:
        answer: dict[str, str] = {}
        return answer["clusterInfo"]

    why = health.why_unhealthy(probe, ME)
    assert why is not None
    assert "clusterInfo" in why
