"""An application followed to its end."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from millpond.airflow.following import follow
from millpond.yarn import Application, ResourceManager
from tests.unit.test_outcomes import ended

WAITING = replace(ended("ACCEPTED", "UNDEFINED"), asked="1 x 6528 MB, 1 vcores")
RUNNING = ended("RUNNING", "UNDEFINED")
SUCCEEDED = ended("FINISHED", "SUCCEEDED")


class Yarn(ResourceManager):
    """Gives the answers of a story, the last one for ever."""

    def __init__(self, story: Sequence[Application | None]) -> None:
        self._story = list(story)

    def application(self, id_: str) -> Application | None:
        return self._story.pop(0) if len(self._story) > 1 else self._story[0]

    def room(self) -> str:
        return "2304 of 10240 MB are free"


Follow = Callable[..., Application]


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Follow:
    """Follow through a story, with a clock that only sleeping moves on."""
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    caplog.set_level(logging.INFO)
    return lambda first, *story: follow(Yarn(story), first)


def test_the_log_shows_changes_of_state(followed: Follow, caplog: pytest.LogCaptureFixture) -> None:
    assert followed(RUNNING, RUNNING, RUNNING, SUCCEEDED) == SUCCEEDED
    assert caplog.messages == [
        "application_5_0001 is RUNNING, UNDEFINED",
        "application_5_0001 is FINISHED, SUCCEEDED",
    ]


def test_what_is_queued_is_asked_for_less_often(followed: Follow) -> None:
    followed(WAITING, WAITING, RUNNING, RUNNING, SUCCEEDED)
    assert time.monotonic() == 4 + 4 + 2 + 2


def test_each_change_is_shown_once(followed: Follow) -> None:
    shown: list[str] = []
    yarn = Yarn([RUNNING, RUNNING, SUCCEEDED])
    follow(yarn, WAITING, lambda application: shown.append(application.state))
    assert shown == ["ACCEPTED", "RUNNING", "FINISHED"]


def test_a_cluster_without_room_is_said_once(
    followed: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    followed(WAITING, *[WAITING] * 100, RUNNING, SUCCEEDED)
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "application_5_0001 waits for 1 x 6528 MB, 1 vcores: 2304 of 10240 MB are free"
    ]


def test_the_usual_wait_for_a_container_is_no_news(
    followed: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    followed(WAITING, *[WAITING] * 4, RUNNING, SUCCEEDED)
    assert [record for record in caplog.records if record.levelname == "WARNING"] == []


def test_a_forgotten_application_is_over(followed: Follow) -> None:
    found = followed(RUNNING, None)
    assert found.state == "FORGOTTEN"
    assert not found.is_live
    assert found.diagnostics == "the ResourceManager no longer knows it"
