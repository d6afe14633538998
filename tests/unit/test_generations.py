"""Which generation an attempt belongs to: every case that Airflow lets us tell apart."""

from datetime import date

import pytest

from millpond.airflow.generations import (
    Attempt,
    Generation,
    generation_of,
    generation_tag,
    target_tag,
)

FIRST = Attempt("01a20a86-001a-77d6-bbf1-80293ca098d1", max_tries=2, clear_number=0)
AGAIN = "01a20a86-ffff-77d6-bbf1-80293ca098d1"
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
            "a retry (another task of the run was cleared meanwhile)",
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
