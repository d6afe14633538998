"""The platform's processes, known by a mark in their environment rather than by files of numbers.

A process that the platform starts carries MILLPOND_PART (which part) and MILLPOND_PART_HOME (whose
platform), and its children inherit both. So whatever was killed at whatever moment, nothing that
still runs is unknown, and another platform's processes are never touched.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from millpond.errors import MillpondError

# Variables of the caller's that would silently change what a part does.
FOREIGN_PREFIXES = (
    *("AIRFLOW", "HADOOP_", "HDFS_", "YARN_", "SPARK_", "PYSPARK_", "PYTHON"),
    *("JAVA_", "JDK_", "_JAVA", "PG", "MILLPOND_"),
)
# What a command that prepares a part adds to the part's name.
PREPARATION = ":preparation"
# How long a part may take to end by itself before its children are told, too: a scheduler would
# wait for its tasks to finish, and a triggerer sometimes for a child that waits for it.
STOP_SECONDS = 3
# How long all of them have then. For a task it is the time to learn that it was stopped.
KILL_SECONDS = 10
POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Marked:
    """A process of a platform. A `part` such as `nodemanager:container` works for `nodemanager`."""

    process: psutil.Process
    part: str
    parent: int
    leads_session: bool

    def works_for(self, part: str) -> bool:
        """Whether it is the part or serves it."""
        return self.part.partition(":")[0] == part


def marked(home: Path) -> list[Marked]:
    """All live processes of a platform."""
    return [found for process in psutil.process_iter() if (found := _read_mark(process, home))]


def main_processes(home: Path) -> dict[str, psutil.Process]:
    """The parts that run, by name.

    A part leads a session and has no marked parent; an orphan of a killed part leads none.
    """
    found = marked(home)
    pids = {each.process.pid for each in found}
    mains = (m for m in found if m.leads_session and m.parent not in pids and ":" not in m.part)
    return {main.part: main.process for main in mains}


def _read_mark(process: psutil.Process, home: Path) -> Marked | None:
    try:
        if process.uids().real != os.getuid() or process.status() == psutil.STATUS_ZOMBIE:
            return None
        environment = process.environ()
        if environment.get("MILLPOND_PART_HOME") != str(home):
            return None
        leads_session = os.getsid(process.pid) == process.pid
        return Marked(process, environment["MILLPOND_PART"], process.ppid(), leads_session)
    except (psutil.Error, OSError, KeyError):
        return None  # It has just ended, or is not ours to look at.


def environment_of(part: str, home: Path, additions: Mapping[str, str]) -> dict[str, str]:
    """What a part starts with: the caller's environment, cleaned, the additions and the mark."""
    callers = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN_PREFIXES)}
    mark = {"MILLPOND_PART": part, "MILLPOND_PART_HOME": str(home)}
    return {**callers, **additions, **mark}


def start(
    part: str, home: Path, command: Sequence[str], environment: Mapping[str, str], log: Path
) -> psutil.Process:
    """Start a process that outlives this one; its output goes to the end of `log`."""
    child = _spawn(part, home, command, environment, log)
    # It is left behind on purpose, and Popen need not warn of it.
    child.returncode = 0
    return psutil.Process(child.pid)


def run(
    part: str, home: Path, command: Sequence[str], environment: Mapping[str, str], log: Path
) -> None:
    """Run a command that prepares a part, to its end.

    Raises:
        MillpondError: It failed.
    """
    if _spawn(f"{part}{PREPARATION}", home, command, environment, log).wait() != 0:
        raise MillpondError(f"preparing {part} failed; {ending(log)}")


def _spawn(
    part: str, home: Path, command: Sequence[str], environment: Mapping[str, str], log: Path
) -> "subprocess.Popen[bytes]":
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=home,
            env=environment_of(part, home, environment),
            start_new_session=True,
        )


def end_preparations(home: Path) -> None:
    """End what a killed `up` left at work: it would work beside the next one's."""
    end_all(found.process for found in marked(home) if found.part.endswith(PREPARATION))


def ending(log: Path, lines: int = 15) -> str:
    """Where a log is and how it ends, for the end of a sentence."""
    text = log.read_text(errors="replace") if log.exists() else ""
    last = "".join(f"\n    {line}" for line in text.splitlines()[-lines:])
    return f"its log {log} ends with:{last}" if last else f"its log {log} is empty"


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; one that has ended and waits to be collected by its parent does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def stop(part: str, home: Path, stop_signal: signal.Signals = signal.SIGTERM) -> None:
    """End a part and everything that serves it, gently and then not.

    Raises:
        MillpondError: Something survived.
    """
    if main := main_processes(home).get(part):
        _end([main], stop_signal, STOP_SECONDS)
    end_all(found.process for found in marked(home) if found.works_for(part))


def end_all(alive: Iterable[psutil.Process]) -> None:
    """End processes by SIGTERM, and after some seconds by SIGKILL.

    Raises:
        MillpondError: One survived.
    """
    for signal_ in (signal.SIGTERM, signal.SIGKILL):
        alive = _end(list(alive), signal_, KILL_SECONDS)
    for process in alive:
        raise MillpondError(
            f"process {process.pid} does not end, even by SIGKILL: it waits for a device; "
            f"`ps -o stat,wchan -p {process.pid}` shows for which"
        )


def _end(
    targets: list[psutil.Process], signal_: signal.Signals, seconds: float
) -> list[psutil.Process]:
    """Signal processes and wait for their end; those that still run."""
    for process in targets:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal_)
    deadline = time.monotonic() + seconds
    while (alive := [p for p in targets if is_alive(p)]) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return alive
