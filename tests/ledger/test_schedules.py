"""Random schedules of all that happens to customers' totals: whatever the order, they balance.

Hours are applied, in any order and again with other counts; persons are answered late or decided; a
poster meets faults; an apply and a poster may die at any of their crash points.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.interactions.apply import apply
from millpond.interactions.counted import CountedHour
from millpond.interactions.ledger import Ledger
from millpond.interactions.post import Pace
from tests.ledger.posting import Posting
from tests.ledger.reference import Reference
from tests.ledger.test_apply import AMOUNTS, IDS
from tests.ledger.test_post import FAULTS
from tests.ledger.world import HOURS, PERSONS, Oracle, counted, empty, totals

# Whoever follows a poster that died waits for its deadlines.
PACE = Pace(threads=4, deadline=1, answer=0.5, tries=8, first_wait=0.01, longest_wait=0.05)

Step = Callable[[Posting, Oracle], None]


class DiedError(Exception):
    """The process has died: nothing after this point was done."""


@contextmanager
def dying(module: str, point: str, passes: int = 0) -> Iterator[None]:
    """Die at a crash point of a module, after it was passed so many times."""
    passed = count()

    def crash_point(name: str) -> None:
        if name == point and next(passed) >= passes:
            raise DiedError(point)

    with pytest.MonkeyPatch.context() as patched, suppress(DiedError):
        patched.setattr(f"millpond.interactions.{module}.crash_point", crash_point)
        yield


def apply_dying(hour: CountedHour, point: str) -> Step:
    def step(posting: Posting, oracle: Oracle) -> None:
        with dying("apply", point):
            apply(posting.ledger, hour)
        if point != "applying":  # before its commit
            oracle.applied(hour)

    return step


def post_dying(faults: list[dict[str, Any]], point: str, passes: int) -> Step:
    def step(posting: Posting, _: Oracle) -> None:
        posting.reference.faults(*faults)
        with dying("post", point, passes):
            posting.post(pace=PACE)

    return step


STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(
        lambda hour, ids, persons, point: apply_dying(counted(hour, ids, persons), point),
        st.sampled_from(HOURS[:3]),
        st.dictionaries(st.sampled_from(IDS), AMOUNTS),
        st.dictionaries(st.sampled_from(PERSONS), AMOUNTS),
        st.sampled_from(["nowhere", "applying", "applied"]),
    ),
    st.builds(
        lambda of, id_, is_decided: (
            lambda posting, oracle: (oracle.decide if is_decided else oracle.answer)(
                posting.ledger, of, id_
            )
        ),
        st.sampled_from(PERSONS),
        st.sampled_from(IDS),
        st.booleans(),
    ),
    st.builds(
        post_dying,
        st.lists(st.sampled_from(FAULTS), max_size=4),
        st.sampled_from(["nowhere", "claimed", "before-send", "after-send", "recorded"]),
        st.integers(0, 2),
    ),
)


@settings(max_examples=20)
@given(steps=st.lists(STEPS, min_size=3, max_size=12))
def test_whatever_happens_in_whatever_order_the_service_holds_the_totals_in_the_end(
    ledger: Ledger, ledger_url: str, tmp_path: Path, steps: list[Step]
) -> None:
    empty(ledger)
    oracle = Oracle()
    log = tmp_path / "requests.jsonl"
    log.unlink(missing_ok=True)
    with Reference(log) as reference:
        posting = Posting(ledger, ledger_url, reference)
        for step in steps:
            step(posting, oracle)
            assert totals(ledger) == oracle.totals()
        posting.drain()
        posted = {id_: row for id_, row in posting.customers().items() if not is_dead(row)}
        # Whoever never had an interaction is never told of.
        assert {id_: reference.counts.get(id_, 0) for id_ in posted} == {
            id_: row.total for id_, row in posted.items()
        }
        assert all(row.acked_version == row.version for row in posted.values())
        posting.check_attempts()


def is_dead(row: Any) -> bool:
    """Whether the service has refused the total, which is a dead letter until it changes."""
    return bool(row.dead_version == row.version)
