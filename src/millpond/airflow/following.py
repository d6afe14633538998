"""An application followed to its end, with a log of changes instead of polls."""

import logging
import time
from collections.abc import Callable
from dataclasses import replace

from millpond.yarn import Application, ResourceManager

log = logging.getLogger(__name__)

# Between the end on YARN and its notice lies half of this, on average.
POLL_SECONDS = 2.0
# Nothing that a person waits for happens before it runs. It then runs for more than a second, so
# that an end that comes before the next look is noticed within 3 s all the same.
QUEUED_POLL_SECONDS = 4.0
# With room in the cluster, a container comes within seconds of the request for it.
ROOM_SECONDS = 20.0


def follow(
    yarn: ResourceManager,
    application: Application,
    show: Callable[[Application], None] = lambda _: None,
) -> Application:
    """Wait for an application's end; `show` is told of each change.

    One that the ResourceManager no longer knows comes back as FORGOTTEN: its receipt decides.

    Raises:
        MillpondError: The ResourceManager does not answer.
    """
    watch = Watch(yarn.room, show)
    watch.see(application)
    while application.is_live:
        time.sleep(POLL_SECONDS if application.state == "RUNNING" else QUEUED_POLL_SECONDS)
        application = _now(yarn, application)
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


def _now(yarn: ResourceManager, application: Application) -> Application:
    found = yarn.application(application.id)
    forgotten = "the ResourceManager no longer knows it"
    return found or replace(application, state="FORGOTTEN", asked="", diagnostics=forgotten)
