"""The end of a driver's log: what a person reads first when an application has failed."""

import logging
import re
import time
from collections.abc import Sequence
from html import unescape
from pathlib import Path

import requests

from millpond.yarn import session

log = logging.getLogger(__name__)

# What the JVM says, and what the Python that it runs does, errors too.
FILES = ("stderr", "stdout")
LAST_LINES = 50
# Fifty lines with a stack trace among them are 10 kB.
READ_BYTES = 64 * 1024
# The NodeManager takes a log to HDFS within 3 s of the end, and shows nothing for a moment.
PATIENCE_SECONDS = 12.0
TIMEOUT_SECONDS = (2, 5)


def quote(log_url: str, ca: Path | None) -> None:
    """Say the last lines of a driver's log, and the first cause that they name."""
    said = last_lines(log_url, ca)
    for file, lines in said.items():
        log.info("the driver's last %d lines, %s:", len(lines), file)
        for line in lines:
            log.info("%s", line)
    # Python knows the cause of its own errors, and of the JVM's that it met.
    causes = (first_cause(lines) for lines in reversed(said.values()))
    log.info("first cause: %s", next(filter(None, causes), "its log names none"))


def last_lines(log_url: str, ca: Path | None) -> dict[str, list[str]]:
    """The last lines of each file of a driver's log; empty if they cannot be had in time."""
    reader = session(ca)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        said = {file: _read(reader, f"{log_url}/{file}") for file in FILES}
        if any(said.values()) or time.monotonic() > deadline:
            return said
        time.sleep(1)


def _read(reader: requests.Session, url: str) -> list[str]:
    query = {"start": str(-READ_BYTES)}
    try:
        answer = reader.get(url, params=query, timeout=TIMEOUT_SECONDS)
    except requests.RequestException:
        return []
    return content(answer.text)[-LAST_LINES:] if answer.ok else []


def content(page: str) -> list[str]:
    """The lines of a log that a page of YARN's shows."""
    shown = re.findall(r"<pre>(.*?)</pre>", page, flags=re.DOTALL)
    return [line.rstrip() for text in shown for line in unescape(text).strip("\n").splitlines()]


def first_cause(lines: Sequence[str]) -> str | None:
    """The innermost cause that a log names.

    Of Java the last `Caused by`, else Python's last, else what an application of ours says itself.
    """
    marks = (
        r"Caused by: (.+)",
        r"((?:\w+\.)*\w*(?:Error|Exception)\b: .+)",
        r"\S+ \S+ ERROR millpond\.\S+ (.+)",
    )
    for mark in marks:
        found = [match[1] for line in lines if (match := re.match(rf"\s*{mark}$", line))]
        if found:
            return found[-1].strip()
    return None
