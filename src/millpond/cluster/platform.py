"""Start, stop and look at the local platform."""

import fcntl
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal

import psutil

from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.cluster import classes, config, contents, jars, kafka, ports, postgres, processes
from millpond.cluster.config import hadoop_environment
from millpond.cluster.daemons import Part, format_command, parts
from millpond.cluster.health import why_unhealthy
from millpond.cluster.java import require_java
from millpond.cluster.steps import Step, take
from millpond.errors import MillpondError
from millpond.lake.tables import create_missing

Report = Callable[[str], None]

# From start to healthy: about 30 s for all parts together on two idle cores; with twenty processes
# waiting for those cores Airflow's parts needed more than 120 s (measured).
HEALTHY_SECONDS = 300
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class PartState:
    """How a part is; `why` says what is wrong with one that is not running well."""

    name: str
    state: Literal["running", "unhealthy", "stopped"]
    pid: int | None
    address: str
    log: Path
    why: str


def up(settings: Settings, report: Report) -> None:
    """Have every part running and healthy; what already is, stays as it is.

    Raises:
        MillpondError: Something is missing, in the way, or does not become healthy.
    """
    require_java()
    postgres.require_short_socket_path(settings)
    postgres.require_ordinary_user()
    _make_home(settings.home)
    with _turn(settings.home, "up", report), ports.alone(settings):
        jars.ensure(report)
        processes.end_preparations(settings.home)
        ports.require_free(settings)
        config.write_all(settings)
        settings = _with_first_hour(settings)
        _end_bereft_parts(settings)
        given_up = threading.Event()
        take(_start_steps(settings, report, given_up), given_up)


def _with_first_hour(settings: Settings) -> Settings:
    """Without a setting, interactions are counted from the full hour before the first `up`.

    It is kept: the DAG's start, and with it what Airflow catches up on, must stay what it was.
    """
    start = config.first_counted_hour(settings)
    if start is None:
        start = Hour.of(datetime.now(UTC) - timedelta(hours=1))
        config.write_private(config.first_hour_file(settings), str(start))
    return replace(settings, interactions_start=start)


def down(settings: Settings, report: Report) -> None:
    """Stop every part, and whatever else of this platform still runs.

    Raises:
        MillpondError: A process survives.
    """
    # Somebody may have deleted the folder of a running platform, and the lock with it.
    turn = _turn(settings.home, "down", report) if settings.home.is_dir() else nullcontext()
    with turn:
        take(_stop_steps(settings, report), threading.Event())
        processes.end_all(found.process for found in processes.marked(settings.home))


def status(settings: Settings) -> list[PartState]:
    """The state of every part."""
    running = processes.main_processes(settings.home)
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda p: _state(p, running.get(p.name)), parts(settings)))


def _state(part: Part, process: psutil.Process | None) -> PartState:
    if process is None:
        return PartState(part.name, "stopped", None, part.address, part.log, "")
    why = why_unhealthy(part.probe, process)
    state: Literal["running", "unhealthy"] = "running" if why is None else "unhealthy"
    return PartState(part.name, state, process.pid, part.address, part.log, why or "")


def _make_home(home: Path) -> None:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise MillpondError(
            f"MILLPOND_HOME is {home}, which cannot be made ({error.strerror}); set it to a folder "
            "that you may write to"
        ) from error


@contextmanager
def _turn(home: Path, command: str, report: Report) -> Iterator[None]:
    """One `up` or `down` of a platform at a time; the second waits for the first."""
    with (home / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            report(f"waiting for {lock.read().strip() or 'another command'} to finish")
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(f"`millpond {command}` (process {os.getpid()})")
        lock.flush()
        yield


def _end_bereft_parts(settings: Settings) -> None:
    """Airflow's parts look well for some seconds after they lost their database, and then end."""
    if "postgres" not in processes.main_processes(settings.home):
        for part in parts(settings):
            if "postgres" in part.uses:
                processes.stop(part.name, settings.home, signal.SIGKILL)


def _start_steps(settings: Settings, report: Report, given_up: threading.Event) -> Sequence[Step]:
    def step(name: str, after: tuple[str, ...], action: Callable[[Settings], None]) -> Step:
        return Step(name, after, partial(action, settings))

    starts = [
        Step(part.name, part.after, partial(_bring_up, settings, part, report, given_up))
        for part in parts(settings)
    ]
    return (
        step("spark-classes", (), partial(classes.archive, report=report)),
        step("postgres-data", (), postgres.initialise),
        step("database", ("postgres",), postgres.migrate),
        step("namenode-data", (), _format_namenode),
        step("folders", ("namenode", "datanode"), contents.create_folders),
        step("tables", ("folders",), create_missing),
        step("kafka-data", (), kafka.initialise),
        step("topic", ("kafka",), contents.create_topic),
        step("ledger", ("postgres",), postgres.create_ledger),
        step("pools", ("airflow-api-server",), contents.create_in_airflow),
        *starts,
    )


def _stop_steps(settings: Settings, report: Report) -> Sequence[Step]:
    everything = parts(settings)
    running = processes.main_processes(settings.home)

    def stop(part: Part) -> None:
        processes.stop(part.name, settings.home, part.stop_signal)
        if part.name in running:
            report(f"{part.name} has stopped")

    def users(part: Part) -> tuple[str, ...]:
        return tuple(other.name for other in everything if part.name in other.uses)

    return [Step(part.name, users(part), partial(stop, part)) for part in reversed(everything)]


def _bring_up(settings: Settings, part: Part, report: Report, given_up: threading.Event) -> None:
    process = processes.main_processes(settings.home).get(part.name)
    if process is not None and (change := _changed_setting(part, process)):
        report(f"restarting {part.name}: {change}")
        processes.stop(part.name, settings.home, part.stop_signal)
        process = None
    begin = time.monotonic()
    if process is None:
        report(f"starting {part.name}")
        process = _start(settings, part)
    elif (why := why_unhealthy(part.probe, process)) is None:
        return
    else:
        report(f"waiting for {part.name}: {why}")
    _wait_until_healthy(part, process, given_up)
    report(f"{part.name} is ready at {part.address} ({time.monotonic() - begin:.1f} s)")


def _changed_setting(part: Part, process: psutil.Process) -> str | None:
    """What a running part was started with that is different now."""
    with suppress(psutil.Error):  # It has just ended; then it is found out while waiting for it.
        then = process.environ()
        for name, now in part.environment.items():
            if name.startswith("MILLPOND_") and then.get(name) != now:
                return f"{name} was {then.get(name)} and is {now}"
    return None


def _start(settings: Settings, part: Part) -> psutil.Process:
    # Children that outlived a killed part would hold its ports, or run on with nobody to heed them.
    processes.stop(part.name, settings.home)
    return processes.start(part.name, settings.home, part.command, part.environment, part.log)


def _wait_until_healthy(part: Part, process: psutil.Process, given_up: threading.Event) -> None:
    deadline = time.monotonic() + HEALTHY_SECONDS
    while (why := why_unhealthy(part.probe, process)) is not None:
        if not processes.is_alive(process):
            raise MillpondError(f"{part.name} ended while starting; {processes.ending(part.log)}")
        if time.monotonic() > deadline:
            raise MillpondError(
                f"{part.name} (process {process.pid}) is not healthy after {HEALTHY_SECONDS} s: "
                f"{why}; its log is {part.log}; `millpond up` goes on waiting, and after "
                "`millpond down` it starts anew"
            )
        if given_up.wait(POLL_SECONDS):
            raise MillpondError(f"{part.name} was still starting when `up` ended")


def _format_namenode(settings: Settings) -> None:
    data = settings.home / "hdfs" / "name"
    if (data / "current" / "VERSION").exists():
        return
    # What a killed format left is in its way.
    shutil.rmtree(data, ignore_errors=True)
    processes.run(
        "namenode",
        settings.home,
        format_command(settings),
        hadoop_environment(settings),
        settings.home / "logs" / "namenode.log",
    )
