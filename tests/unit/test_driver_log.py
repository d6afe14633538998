"""The end of a driver's log, from the pages that YARN shows."""

import time
from collections.abc import Callable

import pytest
import requests

from millpond.airflow import driver_log
from millpond.airflow.driver_log import content, first_cause, last_lines
from tests.unit.answers import Answer, Answers

URL = "http://node:8042/node/containerlogs/container_5_0001_01_000001/root"


def page(*lines: str) -> bytes:
    """As the NodeManager and the log server write it."""
    text = "\n".join(lines)
    return f'<html><td class="content">Showing 9 bytes<pre>\n{text}\n</pre></td></html>'.encode()


Reads = Callable[..., list[str]]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """Read through a story of answers, the last one for ever, with a clock that sleeping moves."""
    clock = [0.0]
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.append(clock.pop() + seconds))
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def through(*story: Answer | Exception) -> list[str]:
        left = list(story)
        answers = Answers(lambda *_: left.pop(0) if len(left) > 1 else left[0])
        reader = requests.Session()
        reader.mount("http://", answers)
        monkeypatch.setattr(driver_log, "session", lambda _: reader)
        found = last_lines(URL, None)
        assert {url for _, url, _ in answers.asked} == {f"{URL}/stderr?start=-65536"}
        return found

    return through


def test_the_last_fifty_lines_are_read(read: Reads) -> None:
    lines = [f"line {n}" for n in range(60)]
    assert read((200, page(*lines))) == lines[-50:]


def test_it_waits_for_a_log_that_is_on_its_way(read: Reads) -> None:
    under_way: list[Answer | Exception] = [(404, b""), requests.ConnectionError(), (200, b"moved")]
    assert read(*under_way, (200, page("last words"))) == ["last words"]


def test_but_not_for_long(read: Reads) -> None:
    assert read((404, b"")) == []
    assert time.monotonic() <= driver_log.PATIENCE_SECONDS + 1


def test_lines_are_as_the_driver_wrote_them() -> None:
    assert content(page("  at <b> & &lt;c&gt;".replace("<b>", "&lt;b&gt;"), "", "x").decode()) == [
        "  at <b> & <c>",
        "",
        "x",
    ]


JAVA = [
    "py4j.protocol.Py4JJavaError: An error occurred while calling o1.save.",
    ": org.apache.spark.SparkException: Job aborted.",
    "\tat org.apache.spark.Writer.scala:1)",
    "Caused by: org.apache.spark.SparkException: Task failed",
    "\t... 3 more",
    "Caused by: java.io.IOException: No space left on device",
    "26/11/24 18:17:34 INFO SparkContext: Successfully stopped SparkContext",
]
PYTHON = [
    "Traceback (most recent call last):",
    '  File "word_counts.py", line 3, in <module>',
    "ModuleNotFoundError: No module named 'numbers_of_words'",
    "26/11/24 18:17:34 INFO ShutdownHookManager: Shutdown hook called",
]


@pytest.mark.parametrize(
    ("lines", "cause"),
    [
        (JAVA, "java.io.IOException: No space left on device"),
        (PYTHON, "ModuleNotFoundError: No module named 'numbers_of_words'"),
        (["26/11/24 18:17:34 INFO Error: is not what this says"], None),
        ([], None),
    ],
)
def test_the_first_cause_is_the_innermost(lines: list[str], cause: str | None) -> None:
    assert first_cause(lines) == cause
