"""Whether this machine and its platform have all that a run needs; each finding with its remedy."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from millpond.catalog.settings import Settings
from millpond.catalog.sizes import SMALL
from millpond.cluster import config, health, jars, platform, ports, postgres
from millpond.cluster.java import require_java
from millpond.errors import MillpondError

# Less than this on HDFS, and a run's intermediate files may not fit.
LEAST_HDFS_BYTES = 2**30


@dataclass(frozen=True)
class Check:
    """One thing a run needs: what was found and, if it will not do, the remedy."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


def doctor(settings: Settings) -> list[Check]:
    """Every check; those of the daemons only as far as the daemons run."""
    return [
        _python(),
        _java(),
        _maven(),
        _temporary_folder(),
        _home(settings),
        _socket_path(settings),
        source_data(settings),
        _jars(),
        *_ports(settings),
        *_parts(settings),
        *_hdfs(settings),
        *_yarn(settings),
    ]


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    return Check("python", sys.version_info[:2] == (3, 11), found, "use Python 3.11")


def _java() -> Check:
    try:
        return Check("java", ok=True, found=f"Java {require_java()}")
    except MillpondError as error:
        return _failed("java", error)


def _maven() -> Check:
    maven = shutil.which("mvn")
    return Check("maven", maven is not None, maven or "no mvn on the PATH", jars.INSTALL_MAVEN)


def _temporary_folder() -> Check:
    folder = tempfile.gettempdir()
    return Check(
        "temporary folder", os.access(folder, os.W_OK | os.X_OK), folder, f"make {folder} writable"
    )


def _home(settings: Settings) -> Check:
    existing = next(f for f in (settings.home, *settings.home.parents) if f.exists())
    return Check(
        "home",
        existing.is_dir() and os.access(existing, os.W_OK | os.X_OK),
        str(settings.home),
        f"make {existing} a writable folder, or set MILLPOND_HOME to one",
    )


def _socket_path(settings: Settings) -> Check:
    try:
        postgres.require_short_socket_path(settings)
    except MillpondError as error:
        return _failed("socket path", error)
    return Check("socket path", ok=True, found=str(postgres.socket_file(settings)))


def source_data(settings: Settings) -> Check:
    """Whether there is a place of source files; over http that shows only when one is fetched."""
    found = "://" in settings.data_dir or Path(settings.data_dir).is_dir()
    return Check(
        "source data",
        found,
        settings.data_dir,
        "it is no folder: create it, or set MILLPOND_DATA_DIR to one with source files",
    )


def _jars() -> Check:
    for each in jars.ALL:
        if not each.folder.is_dir():
            return Check("jars", ok=False, found="not downloaded", remedy="`millpond up` does it")
        try:
            jars.verify(each.folder, each.sums)
        except MillpondError as error:
            return _failed("jars", error)
    return Check("jars", ok=True, found=f"verified in {jars.JARS_DIR}")


def _ports(settings: Settings) -> Iterator[Check]:
    conflicts = list(ports.conflicts(settings))
    for conflict in conflicts:
        yield Check("ports", ok=False, found=conflict.found, remedy=conflict.remedy)
    if not conflicts:
        last = settings.port_base + 99
        yield Check(
            "ports", ok=True, found=f"{settings.port_base} to {last}: no other program has one"
        )


def _parts(settings: Settings) -> Iterator[Check]:
    for state in platform.status(settings):
        found = f"{state.state}: {state.why}" if state.why else state.state
        remedy = "`millpond up` starts it" if state.state == "stopped" else f"see {state.log}"
        yield Check(state.name, state.state == "running", found, remedy)


def _hdfs(settings: Settings) -> Iterator[Check]:
    http = f"http://{config.at(settings, 'namenode-http')}"
    try:
        space = health.bean(http, "NameNode", "FSNamesystem")
    except requests.RequestException:
        return  # The NameNode's own check says so.
    free = int(space["CapacityRemaining"])
    yield Check(
        "room on HDFS",
        free >= LEAST_HDFS_BYTES,
        f"{free / 2**30:.1f} GiB free",
        f"free some of the disk that holds {settings.home}",
    )


def _yarn(settings: Settings) -> Iterator[Check]:
    http = f"http://{config.at(settings, 'yarn-http')}/ws/v1/cluster"
    try:
        metrics = health.fetch_json(f"{http}/metrics")["clusterMetrics"]
        apps = health.fetch_json(f"{http}/apps", params={"states": "ACCEPTED,RUNNING"})["apps"]
    except requests.RequestException:
        return  # The ResourceManager's own check says so.
    yield room_on_yarn(metrics, [app["id"] for app in (apps or {}).get("app", [])])


def room_on_yarn(metrics: dict[str, int], applications: list[str]) -> Check:
    """Whether one more application fits, from the ResourceManager's metrics."""
    asked = SMALL.total_mb
    total, free = metrics["totalMB"], metrics["availableMB"]
    found = (
        f"an application asks for {asked} MB and 2 cores; {metrics['activeNodes']} node has "
        f"{total} MB and {metrics['totalVirtualCores']} cores, of which {free} MB and "
        f"{metrics['availableVirtualCores']} cores are free"
    )
    if total < asked:
        remedy = "see the nodemanager above; it gives containers half of this machine's memory"
    else:
        remedy = f"wait for {', '.join(applications)}, or end it on YARN's page"
    return Check("room on YARN", free >= asked, found, remedy)


def _failed(name: str, error: MillpondError) -> Check:
    found, _, remedy = str(error).partition("; ")
    return Check(name, ok=False, found=found, remedy=remedy)
