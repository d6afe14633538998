"""Whether a part does its work: each probe returns None, or why it does not."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import psutil
import requests

# A healthy part answers in milliseconds; a machine that is starting ten of them may need seconds.
ANSWER_SECONDS = 5

Probe = Callable[[psutil.Process], str | None]


def fetch_json(url: str, **arguments: Any) -> Any:
    """The JSON that a local address answers with; never through a proxy."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request("GET", url, timeout=ANSWER_SECONDS, **arguments)
        answer.raise_for_status()
        return answer.json()


def why_unhealthy(probe: Probe, process: psutil.Process) -> str | None:
    """What a probe finds; a part that does not answer is unhealthy, too."""
    try:
        return probe(process)
    except requests.RequestException as error:
        url = error.request.url if error.request is not None else "it"
        return f"{url} does not answer ({type(error).__name__})"
    except (ValueError, LookupError) as error:
        return f"it answers what was not expected: {error}"


def namenode(http: str, leave_safe_mode: str) -> Probe:
    """Healthy out of safe mode."""

    def probe(_: psutil.Process) -> str | None:
        text = bean(http, "NameNode", "NameNodeInfo")["Safemode"]
        if not text:
            return None
        # What follows recommends a program that is not installed.
        reason = text.partition(" Use ")[0].rstrip(".")
        return f"{reason}; if that stays, and lost blocks may be given up: {leave_safe_mode}"

    return probe


def datanode(http: str) -> Probe:
    """Healthy once the NameNode has answered a heartbeat."""

    def probe(_: psutil.Process) -> str | None:
        actors = json.loads(bean(http, "DataNode", "DataNodeInfo")["BPServiceActorInfo"])
        states = [actor["ActorState"] for actor in actors]
        return None if states == ["RUNNING"] else f"its link to the NameNode is {states}"

    return probe


def resourcemanager(http: str) -> Probe:
    """Healthy once started."""

    def probe(_: psutil.Process) -> str | None:
        state = fetch_json(f"{http}/ws/v1/cluster/info")["clusterInfo"]["state"]
        return None if state == "STARTED" else f"it is {state}"

    return probe


def nodemanager(http: str, yarn_http: str) -> Probe:
    """Healthy if it says so and the ResourceManager counts it."""

    def probe(_: psutil.Process) -> str | None:
        info = fetch_json(f"{http}/ws/v1/node/info")["nodeInfo"]
        if not info["nodeHealthy"]:
            return f"it is unhealthy: {info['healthReport']}"
        if not fetch_json(f"{yarn_http}/ws/v1/cluster/metrics")["clusterMetrics"]["activeNodes"]:
            return "the ResourceManager does not count it yet"
        return None

    return probe


def answers(url: str) -> Probe:
    """Healthy if an address answers with JSON."""

    def probe(_: psutil.Process) -> str | None:
        fetch_json(url)
        return None

    return probe


def airflow_component(url: str, component: str) -> Probe:
    """Healthy if Airflow's monitor has had a heartbeat of this very process."""

    def probe(process: psutil.Process) -> str | None:
        found = fetch_json(f"{url}/api/v2/monitor/health")[component]
        if found["status"] != "healthy":
            return f"Airflow's monitor calls it {found['status']}"
        heartbeat = found.get(f"latest_{component}_heartbeat")
        if heartbeat is not None and timestamp(heartbeat) < process.create_time():
            return "its first heartbeat has not come yet"
        return None

    return probe


def timestamp(text: str) -> float:
    """An ISO 8601 time in epoch seconds."""
    return datetime.fromisoformat(text).timestamp()


def bean(http: str, service: str, name: str) -> dict[str, Any]:
    """One of a Hadoop daemon's JMX beans.

    Raises:
        LookupError: A daemon that is starting answers before it has it.
    """
    beans = fetch_json(f"{http}/jmx", params={"qry": f"Hadoop:service={service},name={name}"})
    if not beans["beans"]:
        raise LookupError(f"{http} has no {name} yet")
    found: dict[str, Any] = beans["beans"][0]
    return found
