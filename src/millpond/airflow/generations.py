"""Which generation an attempt belongs to, and how its application is recognised on YARN.

A generation is one intended computation of a task: a retry goes on with it, a clear or a backfill
begins a new one. Airflow gives every attempt a new id and says nowhere which of the two it is, so
the first attempt leaves a record in the task's state store, which survives both. `max_tries` is
written by a clear of the task alone; `clear_number` counts clears of any task of the run, so it
tells something only once the recorded generation was done.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from millpond.catalog.partitions import Partition
from millpond.yarn import Application

# Airflow does not say of which task.
UNTOLD = "the run was cleared meanwhile: if this task was meant, clear it when it has ended"


@dataclass(frozen=True)
class Generation:
    """The record of a generation: its id is that of its first attempt's task instance."""

    id: str
    max_tries: int
    clear_number: int
    done: bool = False


@dataclass(frozen=True)
class Attempt:
    """What Airflow says about an attempt."""

    id: str
    max_tries: int
    clear_number: int
    # Whether the run asks for a generation per attempt.
    anew: bool = False


def generation_of(attempt: Attempt, recorded: Generation | None) -> tuple[Generation, str]:
    """The attempt's generation, and in words why it is a new one or the recorded one."""
    new = Generation(attempt.id, attempt.max_tries, attempt.clear_number)
    if recorded is None:
        return new, "the first attempt of this task in this run"
    if attempt.anew:
        return new, "the run's param anew asks for a new one at every try"
    if recorded.max_tries != attempt.max_tries:
        return new, "the task was cleared"
    if recorded.done and recorded.clear_number != attempt.clear_number:
        return new, "the run was cleared after the task had succeeded"
    if recorded.clear_number != attempt.clear_number:
        return recorded, f"a retry; {UNTOLD}"
    return recorded, "a retry"


def generation_tag(deployment: str, generation: Generation) -> str:
    """The YARN tag of all applications of a generation."""
    return f"mp-{deployment}-{generation.id}"


def attempt_tag(generation_tag: str, number: int) -> str:
    """The YARN tag of an attempt's application."""
    return f"{generation_tag}-{number}"


def target_tag(deployment: str, dag_id: str, task_id: str, partition: Partition) -> str:
    """The YARN tag of all applications for one task's date or hour, of any run."""
    digest = hashlib.sha256(f"{dag_id}/{task_id}/{partition}".encode()).hexdigest()
    return f"mp-{deployment}-{digest[:32]}"


@dataclass(frozen=True)
class Choice:
    """Of the applications found, the one to follow, if any, and those to end."""

    follow: Application | None
    end: tuple[Application, ...]


def choose(found: Iterable[Application], ours: str) -> Choice:
    """Follow the live application of our generation (its tag is `ours`); end the others.

    Of two of ours, the one of the later attempt stays, which holds the claim: the other could not
    publish. Of one attempt's two it is the older one. One of another generation computes what has
    been asked for anew since.
    """
    live = [app for app in found if app.is_live]
    of_ours = [app for app in live if ours in app.tags]
    follow = min(of_ours, key=lambda app: (-attempt_number(app, ours), app.number), default=None)
    others = sorted((app for app in live if app != follow), key=lambda app: app.number)
    return Choice(follow, tuple(others))


def attempt_number(application: Application, generation_tag: str) -> int:
    """Which attempt of the generation submitted it; 0 if its tags do not say."""
    tags = (tag.removeprefix(f"{generation_tag}-") for tag in application.tags)
    return max((int(number) for number in tags if number.isdecimal()), default=0)
