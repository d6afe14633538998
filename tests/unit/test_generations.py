"""Which generation an attempt belongs to: every case that Airflow lets us tell apart."""

from datetime import date

import pytest

from millpond.airflow.generations import (
    Attempt,
    Generation,
    attempt_tag,
    choose,
    generation_of,
    generation_tag,
    target_tag,
)
from millpond.yarn import Application

FIRST = Attempt("01a20a86-001a-77d6-bbf1-80293ca098d1", max_tries=2, clear_number=0)
AGAIN = "01a20a86-ffff-77d6-bbf1-80293ca098d1"
UNTOLD = (
    "a retry; the run was cleared meanwhile: if this task was meant, clear it when it has ended"
)
RUNNING = Generation(FIRST.id, max_tries=2, clear_number=0)
DONE = Generation(FIRST.id, max_tries=2, clear_number=0, done=True)


@pytest.mark.parametrize(
    ("attempt", "recorded", "is_new", "why"),
    [
        (FIRST, None, True, "the first attempt of this task in this run"),
        (Attempt(AGAIN, 2, 0), RUNNING, False, "a retry"),
        # Clearing a task, done or failed, raises max_tries.
        (Attempt(AGAIN, 3, 1), DONE, True, "the task was cleared"),
        (Attempt(AGAIN, 3, 1), RUNNING, True, "the task was cleared"),
        # A backfill clears the run: this task is done, so it is meant too.
        (Attempt(AGAIN, 2, 1), DONE, True, "the run was cleared after the task had succeeded"),
        # The worker died after the receipt and before Airflow noticed: the same computation.
        (Attempt(AGAIN, 2, 0), DONE, False, "a retry"),
        # Another task was cleared while this one waits for its retry: cannot be told from a clear.
        (
            Attempt(AGAIN, 2, 1),
            RUNNING,
            False,
            UNTOLD,
        ),
        # A person has asked for it.
        (
            Attempt(AGAIN, 2, 0, anew=True),
            RUNNING,
            True,
            "the run's param anew asks for a new one at every try",
        ),
    ],
)
def test_a_retry_goes_on_and_a_clear_begins_anew(
    attempt: Attempt, recorded: Generation | None, *, is_new: bool, why: str
) -> None:
    generation, said = generation_of(attempt, recorded)
    assert said == why
    if is_new:
        assert generation == Generation(attempt.id, attempt.max_tries, attempt.clear_number)
    else:
        assert generation == recorded


def test_tags_are_what_yarn_accepts() -> None:
    tags = [
        generation_tag("a" * 20, RUNNING),
        target_tag("a" * 20, "daily_analytics", "analyse.rating_histogram", date(2026, 11, 22)),
    ]
    for tag in tags:
        assert tag == tag.lower()
        assert len(tag) < 100


def test_a_target_is_one_task_and_date_of_one_deployment() -> None:
    tag = target_tag("local", "daily", "analyse.x", date(2026, 11, 22))
    assert tag == target_tag("local", "daily", "analyse.x", date(2026, 11, 22))
    others = [
        target_tag("prod", "daily", "analyse.x", date(2026, 11, 22)),
        target_tag("local", "hourly", "analyse.x", date(2026, 11, 22)),
        target_tag("local", "daily", "analyse.y", date(2026, 11, 22)),
        target_tag("local", "daily", "analyse.x", date(2026, 11, 21)),
    ]
    assert tag not in others
    assert len(set(others)) == len(others)


OURS, OTHERS = "mp-local-ours", "mp-local-others"


def application(
    number: int, tag: str = OURS, state: str = "RUNNING", attempt: int = 1
) -> Application:
    return Application(
        id=f"application_5_{number:04}",
        name="",
        state=state,
        final_status="UNDEFINED",
        diagnostics="",
        tags=frozenset({tag, attempt_tag(tag, attempt), "mp-local-target"}),
        asked="",
        log_url="",
        started=0,
        launched=0,
        finished=0,
    )


@pytest.mark.parametrize(
    ("found", "follow", "end"),
    [
        ([], None, []),
        # An ended one is no reason not to submit: it failed, or its receipt says that it did not.
        ([application(1, state="FAILED")], None, []),
        ([application(1)], 1, []),
        ([application(1, state="ACCEPTED")], 1, []),
        # What an earlier generation computes is not what this one was asked for.
        ([application(1, OTHERS)], None, [1]),
        ([application(1, OTHERS, state="KILLED")], None, []),
        # Of two tries of ours that did not see each other the later one holds the claim.
        ([application(1, attempt=2), application(2, attempt=1)], 1, [2]),
        ([application(1, attempt=2), application(2, attempt=10)], 2, [1]),
        # Of one try's two the older one has done more.
        ([application(10000), application(9999)], 9999, [10000]),
        ([application(1, state="FAILED"), application(2), application(3)], 2, [3]),
        ([application(1, OTHERS), application(2), application(3, OTHERS)], 2, [1, 3]),
    ],
)
def test_one_live_application_of_ours_is_followed_and_the_others_end(
    found: list[Application], follow: int | None, end: list[int]
) -> None:
    choice = choose(found, OURS)
    assert (choice.follow and choice.follow.number[1]) == follow
    assert [app.number[1] for app in choice.end] == end
