"""Which applications no run wants."""

from dataclasses import replace
from datetime import date

import pytest

from millpond.airflow.reaping import Owner, Verdict, Wish, chosen, judge, name_of, ours, owner_of
from millpond.catalog.partitions import Hour
from millpond.run import Run
from tests.unit.test_outcomes import ended

LIVE = replace(ended("RUNNING", "UNDEFINED"), tags=frozenset({"mp-local-g1", "mp-local-g1-1"}))


@pytest.mark.parametrize(
    ("wish", "verdict"),
    [
        (None, Verdict(end=False, why="its name does not say whose it is")),
        (Wish(None, None), Verdict(end=True, why="its run is gone")),
        *(
            (Wish(state, "g1"), Verdict(end=True, why=f"its task is over: {state}"))
            for state in ("success", "failed", "skipped", "upstream_failed", "removed")
        ),
        # A worker died, or a person cleared the task: the next try adopts it, or ends it.
        *(
            (Wish(state, "g1"), Verdict(end=False, why=f"its task wants it, and is {state}"))
            for state in ("running", "up_for_retry", "queued", "restarting", "waiting")
        ),
        (
            Wish("running", None),
            Verdict(end=False, why="its task begins, and will adopt it or end it"),
        ),
        (Wish("running", "g2"), Verdict(end=True, why="its task wants generation g2")),
        # A state that Airflow has not had yet is no reason to end anything.
        (Wish("dreaming", "g1"), Verdict(end=False, why="its task wants it, and is dreaming")),
    ],
)
def test_what_no_task_wants_ends_and_in_doubt_it_stays(wish: Wish | None, verdict: Verdict) -> None:
    assert judge(LIVE, wish, "local") == verdict


def test_only_this_deployments_applications_are_looked_at() -> None:
    others = [
        replace(LIVE, tags=frozenset({"mp-local2-g1"})),
        replace(LIVE, tags=frozenset({"mp-loc-g1"})),
        replace(LIVE, tags=frozenset({"local"})),
        replace(LIVE, tags=frozenset()),
    ]
    assert ours([*others, LIVE], "local") == [LIVE]


@pytest.mark.parametrize("partition", [date(2026, 11, 22), Hour.parse("2026-11-22T07")])
@pytest.mark.parametrize("run_id", ["scheduled__2026-11-23T00:00:00+00:00", "by hand / again"])
def test_an_applications_name_says_whose_it_is(partition: date | Hour, run_id: str) -> None:
    run = Run(partition, "g1", 1, run_id, "/millpond")
    name = name_of("daily_analytics", "analyse.word_counts", run)
    owner = Owner("daily_analytics", "analyse.word_counts", run_id)
    assert owner_of(replace(LIVE, name=name)) == owner


@pytest.mark.parametrize("name", ["", "arrow-spark", "analyse.word_counts 2026-11-22"])
def test_another_name_says_nothing(name: str) -> None:
    assert owner_of(replace(LIVE, name=name)) is None


@pytest.mark.parametrize(
    ("by_hand", "dry_run", "ended"),
    [
        (True, True, []),
        (True, False, ["a", "b"]),
        # A scheduled run has the param's default; what counts is that the run before has said it.
        (False, True, ["b"]),
    ],
)
def test_a_run_by_hand_is_dry_and_a_scheduled_one_ends_what_was_said_before(
    *, by_hand: bool, dry_run: bool, ended: list[str]
) -> None:
    unwanted, seen = ["a", "b"], ["b", "c"]
    assert chosen(unwanted, seen, by_hand=by_hand, dry_run=dry_run) == ended
