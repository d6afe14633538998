"""A breaker: it leaves an endpoint alone that fails again and again, and tries it with one request.

tenacity retries a call; what is wanted here is that other calls are not even begun.
"""

import logging
import threading
import time

log = logging.getLogger(__name__)

FAILURES = 10
FIRST_REST_SECONDS = 1.0
LONGEST_REST_SECONDS = 60.0


class Breaker:
    """Opens after some failures in a row; then one request is let through after each rest.

    A rest is twice as long as the one before, up to a minute. Threads may share it.
    """

    def __init__(self, failures: int = FAILURES, first_rest: float = FIRST_REST_SECONDS) -> None:
        self._limit, self._first_rest = failures, first_rest
        self._lock = threading.Lock()
        self._failures = self._openings = 0
        self._until = 0.0

    @property
    def rest(self) -> float:
        """Seconds for which nothing may be sent."""
        return max(0.0, self._until - time.monotonic())

    @property
    def is_trying(self) -> bool:
        """Whether it has failed so often that one request at a time is enough."""
        return self._failures >= self._limit

    def succeeded(self) -> None:
        """The endpoint does its work."""
        with self._lock:
            self._failures = self._openings = 0

    def failed(self, why: str) -> None:
        """The endpoint does not; what was on its way when it opened does not count again."""
        with self._lock:
            self._failures += 1
            if self.is_trying and not self.rest:
                rest = min(LONGEST_REST_SECONDS, self._first_rest * 2**self._openings)
                self._openings += 1
                self._until = time.monotonic() + rest
                message = (
                    "the endpoint failed %d times in a row, at last because %s: %.0f s of rest"
                )
                log.warning(message, self._failures, why, rest)

    def pause(self, seconds: float) -> None:
        """The endpoint asked to be left alone."""
        with self._lock:
            self._until = max(self._until, time.monotonic() + seconds)
