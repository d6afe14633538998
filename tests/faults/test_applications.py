"""Processes of an application that die while its task looks on."""

import pytest

from tests.faults.holding import Hold
from tests.faults.test_counting import process_of
from tests.faults.test_parts import says_at_first


@pytest.mark.case(2, slow=True)
def test_a_driver_that_is_killed_is_told_and_tried_again(hold: Hold) -> None:
    held = hold()
    first = held.running()
    process_of(first.id, "ApplicationMaster").kill()
    held.release(3)
    says_at_first(held, f"{first.id} is FAILED")
    says_at_first(held, "exitCode: 137")  # 128 + SIGKILL
    held.reaches("success", attempt=2)
    assert held.published(3).attempt == "2"
    assert len(held.applications()) == 2


@pytest.mark.case(3, slow=True)
def test_an_executor_that_is_killed_is_replaced_within_the_application(hold: Hold) -> None:
    held = hold()
    first = held.running()
    process_of(first.id, "YarnCoarseGrainedExecutorBackend").kill()
    held.release(3)
    held.reaches("success", attempt=1)
    assert held.published(3).application_id == first.id
