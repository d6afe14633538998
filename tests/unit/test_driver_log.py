"""The end of a driver's log, from the pages that YARN shows."""

import time
from collections.abc import Callable

import pytest
import requests

from millpond.airflow import driver_log
from millpond.airflow.driver_log import content, first_cause, last_lines, quote
from tests.unit.answers import Answer, Answers

URL = "http://node:8042/node/containerlogs/container_5_0001_01_000001/root"


def page(*lines: str) -> bytes:
    """As the NodeManager and the log server write it."""
    text = "\n".join(lines)
    return f'<html><td class="content">Showing 9 bytes<pre>\n{text}\n</pre></td></html>'.encode()


NOTHING: Answer = (200, page())
Said = dict[str, list[str]]
Reads = Callable[..., Said]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """Read through a story of answers, the last one for ever, with a clock that sleeping moves."""
    clock = [0.0]
    monkeypatch.setattr(time, "sleep", lambda seconds: clock.append(clock.pop() + seconds))
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    def through(*story: Answer | Exception, python: Answer = NOTHING) -> Said:
        left = list(story)

        def answer(_: str, url: str) -> Answer | Exception:
            if url == f"{URL}/stdout?start=-65536":
                return python
            assert url == f"{URL}/stderr?start=-65536"
            return left.pop(0) if len(left) > 1 else left[0]

        answers = Answers(answer)
        reader = requests.Session()
        reader.mount("http://", answers)
        monkeypatch.setattr(driver_log, "session", lambda _: reader)
        return last_lines(URL, None)

    return through


def test_the_last_fifty_lines_are_read(read: Reads) -> None:
    lines = [f"line {n}" for n in range(60)]
    found = read((200, page(*lines)), python=(200, page(*lines, "and Python")))
    assert found == {"stderr": lines[-50:], "stdout": [*lines[-49:], "and Python"]}


def test_it_waits_for_a_log_that_is_on_its_way(read: Reads) -> None:
    under_way: list[Answer | Exception] = [(404, b""), requests.ConnectionError(), (200, b"moved")]
    assert read(*under_way, (200, page("last words")))["stderr"] == ["last words"]


def test_but_not_for_long(read: Reads) -> None:
    assert read((404, b"")) == {"stderr": [], "stdout": []}
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
# HDFS was away: the sentence could not be left beside the receipts either.
OURS = [
    "2026-11-27 15:02:11,120 INFO millpond.spark.job began",
    "2026-11-27 15:02:11,208 ERROR millpond.spark.job could not read /x on hdfs://y: refused",
    "26/11/24 18:17:34 INFO ShutdownHookManager: Shutdown hook called",
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
        (OURS, "could not read /x on hdfs://y: refused"),
        (["26/11/24 18:17:34 INFO Error: is not what this says"], None),
        ([], None),
    ],
)
def test_the_first_cause_is_the_innermost(lines: list[str], cause: str | None) -> None:
    assert first_cause(lines) == cause


def test_what_python_names_comes_before_what_the_jvm_met(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", driver_log.__name__)
    monkeypatch.setattr(driver_log, "last_lines", lambda *_: {"stderr": JAVA, "stdout": PYTHON})
    quote(URL, None)
    assert caplog.messages == [
        "the driver's last 7 lines, stderr:",
        *JAVA,
        "the driver's last 4 lines, stdout:",
        *PYTHON,
        "first cause: ModuleNotFoundError: No module named 'numbers_of_words'",
    ]
    caplog.clear()
    monkeypatch.setattr(driver_log, "last_lines", lambda *_: {"stderr": JAVA, "stdout": []})
    quote(URL, None)
    assert caplog.messages[-1] == "first cause: java.io.IOException: No space left on device"
