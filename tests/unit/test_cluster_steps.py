import threading

import pytest

from millpond.cluster.steps import Step, take


def test_a_step_is_taken_after_those_it_names() -> None:
    taken: list[str] = []

    def step(name: str, *after: str) -> Step:
        return Step(name, after, lambda: taken.append(name))

    take([step("c", "b"), step("b", "a"), step("a"), step("d", "a", "c")], threading.Event())
    assert taken == ["a", "b", "c", "d"]


def test_independent_steps_are_taken_at_the_same_time() -> None:
    both_are_there = threading.Barrier(2, timeout=10)

    def meet() -> None:
        both_are_there.wait()

    take([Step(name, (), meet) for name in "ab"], threading.Event())


def test_the_first_failure_is_raised_and_ends_all_waiting() -> None:
    given_up = threading.Event()
    taken: list[str] = []

    def fail() -> None:
        raise ValueError("port taken")

    def wait() -> None:
        assert given_up.wait(10)
        taken.append("waiting")

    steps = [
        Step("fails", (), fail),
        Step("waits", (), wait),
        Step("after", ("fails",), lambda: taken.append("after")),
    ]
    with pytest.raises(ValueError, match="port taken"):
        take(steps, given_up)
    assert taken == ["waiting"]
