"""Steps that wait for one another and otherwise go on at the same time."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """Something to bring about after other steps, known by their names."""

    name: str
    after: tuple[str, ...]
    action: Callable[[], None]


def take(steps: Sequence[Step], given_up: threading.Event) -> None:
    """Take every step as soon as those before it are done.

    The first failure is raised again here, and sets `given_up`: an action that waits should look
    at it and end. Steps after a failed one are not taken.
    """
    done = {step.name: Future[None]() for step in steps}

    def take_one(step: Step) -> None:
        try:
            for name in step.after:
                done[name].result()
            step.action()
        except BaseException as error:  # noqa: BLE001  it is raised again in the caller's thread
            done[step.name].set_exception(error)
        else:
            done[step.name].set_result(None)

    # One thread each, so that none waits for a thread that a waiting one has.
    with ThreadPoolExecutor(len(steps)) as pool:
        pool.map(take_one, steps)
        try:
            for future in as_completed(done.values()):
                future.result()
        finally:
            given_up.set()
