"""An application followed to its end, with a log of changes instead of polls."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from millpond.errors import MillpondError
from millpond.yarn import Application, ResourceManager

log = logging.getLogger(__name__)

# Between the end on YARN and its notice lies half of this, on average.
POLL_SECONDS = 2.0
# Nothing that a person waits for happens before it runs.
QUEUED_POLL_SECONDS = 5.0
# With room in the cluster, a container comes within seconds of the request for it.
ROOM_SECONDS = 20.0

Answer = TypeVar("Answer")


def follow(
    yarn: ResourceManager,
    application: Application,
    silence: float,
    show: Callable[[Application], None] = lambda _: None,
) -> Application:
    """Wait for an application's end; `show` is told of each change.

    One that the ResourceManager no longer knows comes back as FORGOTTEN: its receipt decides.

    Raises:
        MillpondError: The ResourceManager has not answered for `silence` seconds.
    """
    watch = Watch(lambda: patiently(yarn.room, silence), show)
    watch.see(application)
    while application.is_live:
        time.sleep(POLL_SECONDS if application.state == "RUNNING" else QUEUED_POLL_SECONDS)
        application = _now(yarn, application, silence)
        watch.see(application)
    return application


class Watch:
    """What has been said of an application, so that nothing is said twice."""

    def __init__(self, room: Callable[[], str], show: Callable[[Application], None]) -> None:
        self._room = room
        self._show = show
        self._state = ""
        self._asked = ""
        self._asked_at = 0.0
        self._is_said = False

    def see(self, application: Application) -> None:
        """Say a change of state, and once that it waits for containers longer than is usual."""
        if application.state != self._state:
            self._state = application.state
            log.info("%s is %s, %s", application.id, application.state, application.final_status)
            self._show(application)
        if application.asked != self._asked:
            self._asked, self._asked_at = application.asked, time.monotonic()
            self._is_said = False
        is_late = self._asked and time.monotonic() - self._asked_at > ROOM_SECONDS
        if is_late and not self._is_said:
            self._is_said = True
            log.warning("%s waits for %s: %s", application.id, application.asked, self._room())


def _now(yarn: ResourceManager, application: Application, silence: float) -> Application:
    found = patiently(lambda: yarn.application(application.id), silence)
    forgotten = "the ResourceManager no longer knows it"
    return found or replace(application, state="FORGOTTEN", asked="", diagnostics=forgotten)


def patiently(ask: Callable[[], Answer], silence: float) -> Answer:
    """What a ResourceManager answers, which may be away for `silence` seconds.

    Raises:
        MillpondError: It was away for longer.
    """
    retrying = Retrying(
        retry=retry_if_exception_type(MillpondError),
        wait=wait_fixed(POLL_SECONDS),
        stop=stop_after_delay(silence),
        before_sleep=lambda asked: _say_first(asked, silence),
        reraise=True,
    )
    return retrying(ask)


def _say_first(asked: RetryCallState, silence: float) -> None:
    if asked.attempt_number == 1 and asked.outcome is not None:
        log.warning("%s; asking again for %.0f s", asked.outcome.exception(), silence)
