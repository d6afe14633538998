"""Asking again what was not answered: a part that is asked may just be started again."""

import logging
from collections.abc import Callable
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from millpond.errors import MillpondError

log = logging.getLogger(__name__)

PAUSE_SECONDS = 2.0

Answer = TypeVar("Answer")


def patiently(ask: Callable[[], Answer], seconds: float) -> Answer:
    """What `ask` returns, which may fail for that long.

    Raises:
        MillpondError: It failed for longer; this is its last failure.
    """
    retrying = Retrying(
        retry=retry_if_exception_type(MillpondError),
        wait=wait_fixed(PAUSE_SECONDS),
        stop=stop_after_delay(seconds),
        before_sleep=lambda asked: _say_first(asked, seconds),
        reraise=True,
    )
    return retrying(ask)


def _say_first(asked: RetryCallState, seconds: float) -> None:
    if asked.attempt_number == 1 and asked.outcome is not None:
        log.warning("%s; asking again for %.0f s", asked.outcome.exception(), seconds)
