"""What a fresh platform needs beside its daemons: folders, a topic, what Airflow has to know."""

import json

import requests
from hdfs_native import Client

from millpond.catalog.settings import Settings
from millpond.catalog.zones import ZONES, personal
from millpond.cluster.config import (
    LOOPBACK,
    at,
    concurrent_applications,
    local_hdfs_url,
    os_user,
    passwords_file,
    yarn_memory_mb,
)
from millpond.errors import MillpondError
from millpond.interactions import topic

REQUEST_SECONDS = 30
POOLS = (
    {
        "name": "yarn",
        "slots": concurrent_applications(yarn_memory_mb()),
        "description": "Spark applications at once",
        "include_deferred": False,
    },
    {
        "name": "customer_service",
        "slots": 1,
        "description": "tasks that post counts at once",
        "include_deferred": False,
    },
)
# Anybody may add to these, and remove only what is theirs.
SHARED = ("/tmp", "/yarn-logs")  # noqa: S108  folders on HDFS


def create_folders(settings: Settings) -> None:
    """Create the folders that parts and applications expect."""
    client = Client(local_hdfs_url(settings))
    zones = (f"{settings.root}/{zone}" for zone in ZONES)
    for folder in (*zones, "/spark-history", f"/user/{os_user()}", *SHARED):
        client.mkdirs(folder, create_parent=True)
    for folder in SHARED:
        client.set_permission(folder, 0o1777)
    client.mkdirs(personal(settings.root), create_parent=True)
    client.set_permission(personal(settings.root), 0o700)


def create_topic(settings: Settings) -> None:
    """Create the topic of interactions on the platform's own broker; one that exists stays."""
    topic.create(at(settings, "kafka"), settings.interactions_topic)


def create_in_airflow(settings: Settings) -> None:
    """Create the pools, and the connection to the local customer service; what exists stays."""
    service = {
        "connection_id": "customer_service",
        "conn_type": "http",
        "schema": "http",
        "host": LOOPBACK,
        "port": settings.port("customer-service"),
    }
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {_token(settings, session)}"
        for pool in POOLS:
            _create(settings, session, "pools", str(pool["name"]), pool)
        _create(settings, session, "connections", "customer_service", service)


def _create(
    settings: Settings, session: requests.Session, kind: str, name: str, content: object
) -> None:
    all_of_them = f"{_airflow(settings)}/api/v2/{kind}"
    answer = session.get(f"{all_of_them}/{name}", timeout=REQUEST_SECONDS)
    if answer.status_code == requests.codes.not_found:
        answer = session.post(all_of_them, json=content, timeout=REQUEST_SECONDS)
    if not answer.ok:
        raise MillpondError(
            f"Airflow did not create {name} of its {kind}: {answer.text[:200]}; the log of its API "
            "server says more, and `millpond up` tries again"
        )


def _token(settings: Settings, session: requests.Session) -> str:
    password = json.loads(passwords_file(settings).read_text())[settings.airflow_user]
    login = {"username": settings.airflow_user, "password": password}
    answer = session.post(f"{_airflow(settings)}/auth/token", json=login, timeout=REQUEST_SECONDS)
    if not answer.ok:
        raise MillpondError(
            f"Airflow does not accept the password of {settings.airflow_user} in "
            f"{passwords_file(settings)}: delete that file, then `millpond down` and `millpond up`"
        )
    return str(answer.json()["access_token"])


def _airflow(settings: Settings) -> str:
    return f"http://{at(settings, 'airflow')}"
