"""How a test waits for what nobody tells it of: it looks again and again."""

import operator
from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

Found = TypeVar("Found")
# Beyond what anything takes on the busiest machine: what has not come by then hangs.
HANGS_SECONDS = 900.0


def until(
    found: Callable[[], Found | None], seconds: float = HANGS_SECONDS, pause: float = 0.05
) -> Found:
    """What a function finds, once it finds something; RetryError if it has not in time."""
    looking = Retrying(
        retry=retry_if_result(operator.not_),
        wait=wait_fixed(pause),
        stop=stop_after_delay(seconds),
    )
    result = looking(found)
    assert result
    return result
