"""An end to applications, and whether a task that is killed wants one."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from threading import Thread
from typing import Any

from airflow.sdk.exceptions import AirflowRuntimeError

from millpond.airflow.reaping import OVER
from millpond.yarn import Application, ResourceManager

log = logging.getLogger(__name__)

# What another generation computes is in no hurry to end.
END_SECONDS = 30.0
# Airflow ends a task 5 s after it has called on_kill: to ask what it wants, then to end what runs.
ASK_SECONDS = 1.0
KILL_SECONDS = 3.0
# What Airflow calls a task that no try goes on with as it is.
ENDED = (*OVER, "restarting")


def end(
    yarn: ResourceManager, unwanted: Sequence[Application], why: str, seconds: float = END_SECONDS
) -> None:
    """End applications, and say so.

    Raises:
        MillpondError: One still lives after `seconds`.
    """
    for application in unwanted:
        log.info("ending %s: %s", application.id, why)
    yarn.end([application.id for application in unwanted], seconds)
    for application in unwanted:
        log.info("%s has ended", application.id)


def end_generation(yarn: ResourceManager, tag: str, known: Application | None) -> None:
    """End whatever carries a generation's tag, in the seconds that a killed task has.

    Raises:
        MillpondError: Something was not seen to end.
    """
    why = "its task was ended"
    # What is known already needs no question first.
    if known is not None and known.is_live:
        end(yarn, [known], why, KILL_SECONDS)
    # Until there is none: one may have been on its way when its client was killed.
    while live := [application for application in yarn.tagged(tag) if application.is_live]:
        end(yarn, live, why, KILL_SECONDS)


def is_wanted_still(ti: Any) -> bool:
    """Whether this try was given up, but not its task: the next one will adopt the application.

    In doubt it is not: killed means killed.
    """
    states: list[str | None] = []

    def ask() -> None:
        with suppress(AirflowRuntimeError):
            found = ti.get_task_states(dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id])
            states.append(found.get(ti.run_id, {}).get(ti.task_id, "removed"))

    # In a thread: the signal may have come amid a question to Airflow, whose lock is held until
    # its handler returns.
    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(ASK_SECONDS)
    return bool(states) and states[0] not in ENDED
