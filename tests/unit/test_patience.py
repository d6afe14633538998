"""Asking again what was not answered."""

import time
from collections.abc import Callable

import pytest

from millpond.errors import MillpondError
from millpond.patience import patiently


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which only sleeping moves on."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def answers_after(failures: int) -> Callable[[], str]:
    left = [MillpondError("nobody answers")] * failures

    def ask() -> str:
        if left:
            raise left.pop()
        return "here"

    return ask


def test_who_is_away_for_a_while_is_asked_again_and_that_is_said_once(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    assert patiently(answers_after(50), 120) == "here"
    assert clock == [100.0]
    assert caplog.messages == ["nobody answers; asking again for 120 s"]


def test_but_not_for_ever(clock: list[float]) -> None:
    with pytest.raises(MillpondError, match="nobody answers"):
        patiently(answers_after(1000), 120)
    assert clock == [120.0]


@pytest.mark.usefixtures("clock")
def test_without_patience_one_failure_is_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(MillpondError, match="nobody answers"):
        patiently(answers_after(1), 0)
    assert caplog.messages == []
