"""Airflow's REST API, as far as running a DAG needs it."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from http import HTTPStatus
from typing import Any

import requests

from millpond.catalog.partitions import Hour, Partition
from millpond.catalog.settings import Settings
from millpond.errors import MillpondError

DAILY, HOURLY = "daily_analytics", "hourly_interactions"
TIMEOUT_SECONDS = (5, 60)


class ExistsError(MillpondError):
    """What was to be created is there already."""


@dataclass(frozen=True)
class Task:
    """A task of a run: its state, and the number of its last try."""

    name: str
    state: str
    attempt: int


class AirflowApi:
    """A session with Airflow about one DAG, logged in."""

    def __init__(self, settings: Settings, dag_id: str = DAILY) -> None:
        self._dag_id = dag_id
        self._url = settings.airflow_url
        self._session = requests.Session()
        self._session.trust_env = False
        token = self._ask(
            "POST",
            f"{self._url}/auth/token",
            json={"username": settings.airflow_user, "password": _password(settings)},
        )["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def page(self, run_id: str) -> str:
        """A run's page."""
        return f"{self._url}/dags/{self._dag_id}/runs/{run_id}"

    def find_run(self, partition: Partition) -> dict[str, Any] | None:
        """The run that owns the interval of a day or an hour; None if there is none."""
        at, _ = _interval(partition)
        query = {"logical_date_gte": at, "logical_date_lte": at}
        runs: list[dict[str, Any]] = self._dag("GET", "dagRuns", params=query)["dag_runs"]
        return runs[0] if runs else None

    def create_run(self, partition: Partition) -> str:
        """A new run that owns the interval of a day or an hour.

        Raises:
            ExistsError: The interval has a run.
            MillpondError: The DAG begins later; Airflow would give the run no task, and call that
            a success.
        """
        begin, end = _interval(partition)
        start = datetime.fromisoformat(self._dag("GET", "details")["start_date"])
        is_hour = isinstance(partition, Hour)
        first = Hour.of(start) if is_hour else start.date()
        if datetime.fromisoformat(begin) < start:
            raise MillpondError(
                f"{partition} is before the first {'hour' if is_hour else 'day'} of "
                f"{self._dag_id}, which is {first}; choose that one or a later one"
            )
        body = {"logical_date": begin, "data_interval_start": begin, "data_interval_end": end}
        return str(self._dag("POST", "dagRuns", json=body)["dag_run_id"])

    def create_run_with(self, params: dict[str, Any]) -> str:
        """A new run outside the schedule, with params."""
        body = {"logical_date": None, "conf": params}
        return str(self._dag("POST", "dagRuns", json=body)["dag_run_id"])

    def clear(self, run_id: str) -> None:
        """Have every task of a run computed anew."""
        self._dag("POST", f"dagRuns/{run_id}/clear", json={"dry_run": False})

    def unpause(self) -> None:
        """Let the scheduler run the DAG."""
        self._ask("PATCH", f"{self._url}/api/v2/dags/{self._dag_id}", json={"is_paused": False})

    def state(self, run_id: str) -> str:
        """A run's state."""
        return str(self._dag("GET", f"dagRuns/{run_id}")["state"])

    def tasks(self, run_id: str) -> list[Task]:
        """The tasks of a run, in the order they started."""
        found = self._dag("GET", f"dagRuns/{run_id}/taskInstances")["task_instances"]
        found.sort(key=lambda task: (task["start_date"] or "9", task["task_id"]))
        return [Task(t["task_id"], t["state"] or "waiting", t["try_number"]) for t in found]

    def log(self, run_id: str, task: Task) -> list[str]:
        """The lines of a task's last try; its page folds groups, and here they are left out."""
        path = f"dagRuns/{run_id}/taskInstances/{task.name}/logs/{task.attempt}"
        entries = self._dag("GET", path, headers={"Accept": "application/json"})["content"]
        return [_line(entry) for entry in _outside_groups(entries)]

    def _dag(self, method: str, path: str, **content: Any) -> Any:
        return self._ask(method, f"{self._url}/api/v2/dags/{self._dag_id}/{path}", **content)

    def _ask(self, method: str, url: str, **content: Any) -> Any:
        try:
            answer = self._session.request(method, url, timeout=TIMEOUT_SECONDS, **content)
        except requests.RequestException as error:
            raise MillpondError(
                f"Airflow does not answer at {self._url} ({type(error).__name__}); "
                "`millpond up` starts it, MILLPOND_AIRFLOW_URL says where it is"
            ) from error
        if not answer.ok:
            kind = ExistsError if answer.status_code == HTTPStatus.CONFLICT else MillpondError
            raise kind(
                f"Airflow answered {answer.status_code} to {method} {url}: {answer.text[:200]}; "
                "the log of its API server says more, and `millpond status` where Airflow is"
            )
        return answer.json()


def _interval(partition: Partition) -> tuple[str, str]:
    if isinstance(partition, Hour):
        return partition.start.isoformat(), partition.end.isoformat()
    midnight = datetime.combine(partition, time(), UTC)
    return midnight.isoformat(), (midnight + timedelta(days=1)).isoformat()


def _outside_groups(entries: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A task that is interrupted may leave a group open; its failure is shown all the same."""
    is_inside = False
    for entry in entries:
        event = str(entry.get("event", ""))
        if event.startswith(("::group::", "::endgroup::")):
            is_inside = event.startswith("::group::")
        elif not is_inside or entry.get("error_detail"):
            yield entry


def _line(entry: dict[str, Any]) -> str:
    details = entry.get("error_detail") or []
    causes = [f"{detail['exc_type']}: {detail['exc_value']}" for detail in details]
    return " ".join([str(entry.get("event", "")), *causes])


def _password(settings: Settings) -> str:
    try:
        passwords = json.loads(settings.airflow_passwords.read_text())
        return str(passwords[settings.airflow_user])
    except (OSError, ValueError, KeyError) as error:
        raise MillpondError(
            f"no password of {settings.airflow_user} in {settings.airflow_passwords}; "
            "`millpond up` writes one, MILLPOND_AIRFLOW_PASSWORDS names another file"
        ) from error
