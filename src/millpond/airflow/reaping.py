"""Which applications on YARN no run wants, and an end to them and to what they left.

An application's name says whose it is: DAG, task and run. Its task wants the generation that it
has pushed last. Whoever lists the applications first and asks Airflow then cannot miss a wish: a
task pushes it before it submits.
"""

import logging
import re
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import environ
from pathlib import PurePosixPath
from typing import Any

from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import get_current_context

from millpond.airflow.failures import as_airflow_failure
from millpond.catalog import zones
from millpond.catalog.settings import Settings
from millpond.lake.hdfs import Hdfs
from millpond.run import Run
from millpond.yarn import Application, ResourceManager

log = logging.getLogger(__name__)

REAP = "reap"
WISH_KEY = "generation"
# A task in one of these will not go on with an application; in any other it may.
OVER = ("success", "failed", "skipped", "upstream_failed", "removed")
KILL_SECONDS = 30.0
# A client uploads for seconds before YARN knows its application.
ABANDONED_SECONDS = 3600.0


@dataclass(frozen=True)
class Owner:
    """The task that submitted an application."""

    dag_id: str
    task_id: str
    run_id: str


@dataclass(frozen=True)
class Wish:
    """What Airflow knows of an owner.

    `state` is None if there is no such task any more, `generation` if it has not said which it
    wants.
    """

    state: str | None
    generation: str | None


@dataclass(frozen=True)
class Verdict:
    """Whether an application is to be ended, and why or why not."""

    end: bool
    why: str


def name_of(dag_id: str, task_id: str, run: Run) -> str:
    """The name of a run's application: whose it is, and of which date or hour."""
    return f"{dag_id}/{task_id} {run.partition} {run.run_id}"


def owner_of(application: Application) -> Owner | None:
    """Whose application it is; None if its name does not say."""
    said = re.fullmatch(r"([\w.-]+)/([\w.-]+) \S+ (.+)", application.name)
    return Owner(*said.groups()) if said else None


def ours(applications: Iterable[Application], deployment: str) -> list[Application]:
    """Those that this deployment's tasks submitted."""
    mark = f"mp-{deployment}-"
    return [app for app in applications if any(tag.startswith(mark) for tag in app.tags)]


def judge(application: Application, wish: Wish | None, deployment: str) -> Verdict:
    """Whether a live application of this deployment is to be ended; in doubt it stays.

    `wish` is that of its owner, None if the application does not say whose it is.
    """
    if wish is None:
        return Verdict(end=False, why="its name does not say whose it is")
    if wish.state is None:
        return Verdict(end=True, why="its run is gone")
    if wish.state in OVER:
        return Verdict(end=True, why=f"its task is over: {wish.state}")
    if wish.generation is None:
        return Verdict(end=False, why="its task begins, and will adopt it or end it")
    if f"mp-{deployment}-{wish.generation}" not in application.tags:
        return Verdict(end=True, why=f"its task wants generation {wish.generation}")
    return Verdict(end=False, why=f"its task wants it, and is {wish.state}")


def chosen(
    unwanted: Sequence[str], seen: Collection[str], *, by_hand: bool, dry_run: bool
) -> list[str]:
    """Which of the unwanted a run ends: by hand all or none, by schedule what the run before saw.

    So nothing ends that nobody could have read about an hour before.
    """
    if by_hand:
        return [] if dry_run else list(unwanted)
    return [id_ for id_ in unwanted if id_ in seen]


def reap_task() -> PythonOperator:
    """`reap`: say what no run wants, and end it; its XCom is what the next run may end."""
    return PythonOperator(task_id=REAP, python_callable=_reap)


def _reap() -> list[str]:
    context: Any = get_current_context()
    settings = Settings.from_env(environ)
    yarn = ResourceManager.of(settings)
    by_hand, dry_run = context["dag_run"].run_type == "manual", context["params"]["dry_run"]
    seen = _listed_before(context["ti"])
    with as_airflow_failure():
        unwanted = _examine(yarn, context, settings.deployment)
        ended = chosen(unwanted, seen, by_hand=by_hand, dry_run=dry_run)
        yarn.end(ended, KILL_SECONDS)
        sweep(yarn, Hdfs(settings.hdfs_url), settings, dry_run=by_hand and dry_run)
    log.info("no task wants %s; ended %s; the run before had listed %s", unwanted, ended, seen)
    return unwanted


def _listed_before(ti: Any) -> list[str]:
    """What the run of the interval before returned; a run by hand has none."""
    before = ti.get_previous_dagrun(state="success")
    return (ti.xcom_pull(task_ids=REAP, run_id=before.run_id) or []) if before else []


def _examine(yarn: ResourceManager, context: Mapping[str, Any], deployment: str) -> list[str]:
    """The ids of what is to be ended; says of each application what becomes of it, and why."""
    unwanted = []
    for application in ours(yarn.live(), deployment):
        owner = owner_of(application)
        wish = _wish(context["ti"], owner) if owner else None
        verdict = judge(application, wish, deployment)
        what = "to be ended" if verdict.end else "stays"
        log.info("%s (%s) %s: %s", application.id, application.name, what, verdict.why)
        if verdict.end:
            unwanted.append(application.id)
    return unwanted


def _wish(ti: Any, owner: Owner) -> Wish:
    of = {"dag_id": owner.dag_id, "task_ids": [owner.task_id]}
    states = ti.get_task_states(**of, run_ids=[owner.run_id]).get(owner.run_id, {})
    if owner.task_id not in states:
        return Wish(None, None)
    [generation] = ti.xcom_pull(**of, run_id=owner.run_id, key=WISH_KEY) or [None]
    # A task that waits to be scheduled has no state.
    return Wish(states[owner.task_id] or "waiting", generation)


def sweep(yarn: ResourceManager, hdfs: Hdfs, settings: Settings, *, dry_run: bool) -> None:
    """Remove what was uploaded for applications that have ended, or never began, an hour ago."""
    for folder in hdfs.folders(zones.uploads(settings.root, settings.deployment)):
        if time.time() - folder.modified / 1000 < ABANDONED_SECONDS:
            continue
        application = yarn.application(PurePosixPath(folder.path).name)
        if application is None or not application.is_live:
            what = "to be removed" if dry_run else "removed"
            log.info("%s %s: its application does not live any more", folder.path, what)
            if not dry_run:
                hdfs.remove(folder.path)
