"""Create a run and watch it, or end one: python run_over_rest.py DATE | end RUN_ID."""

import json
import os
import sys
import time
from pathlib import Path

import requests

AIRFLOW = os.environ["MILLPOND_AIRFLOW_URL"]
DAG = f"{AIRFLOW}/api/v2/dags/daily_analytics"


def log_in(user: str = "admin") -> requests.Session:
    passwords = json.loads(Path(os.environ["MILLPOND_AIRFLOW_PASSWORDS"]).read_text())
    session = requests.Session()
    login = {"username": user, "password": passwords[user]}
    token = session.post(f"{AIRFLOW}/auth/token", json=login).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    return session


def create(session: requests.Session, ds: str) -> str:
    conf = {"ds": ds, "only": ["rating_histogram"]}
    answer = session.post(f"{DAG}/dagRuns", json={"logical_date": None, "conf": conf})
    answer.raise_for_status()
    session.patch(DAG, json={"is_paused": False}).raise_for_status()
    return str(answer.json()["dag_run_id"])


def watch(session: requests.Session, run_id: str) -> None:
    state = "queued"
    while state in ("queued", "running"):
        state = session.get(f"{DAG}/dagRuns/{run_id}").json()["state"]
        tasks = session.get(f"{DAG}/dagRuns/{run_id}/taskInstances").json()["task_instances"]
        print(run_id, state, {task["task_id"]: task["state"] for task in tasks}, flush=True)
        time.sleep(2)


def end(session: requests.Session, run_id: str) -> None:
    session.patch(f"{DAG}/dagRuns/{run_id}", json={"state": "failed"}).raise_for_status()


if __name__ == "__main__":
    if sys.argv[1] == "end":
        end(log_in(), sys.argv[2])
    else:
        logged_in = log_in()
        watch(logged_in, create(logged_in, sys.argv[1]))
