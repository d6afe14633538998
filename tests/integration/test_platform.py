"""The local platform: one command up, one down, whatever was killed in between."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import psutil
import pytest

from millpond.catalog.settings import Settings
from millpond.cluster.config import CLASS_ARCHIVE, SHORT_JVM, spark_class_path, venv_bin
from millpond.cluster.java import java_home
from tests.integration.local_platform import Platform, environment, free_port_base
from tests.waiting import until

PARTS = {
    "postgres",
    "namenode",
    "datanode",
    "resourcemanager",
    "nodemanager",
    "yarn-history",
    "kafka",
    "customer-service",
    "spark-history",
    "airflow-api-server",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
}


def states(platform: Platform) -> dict[str, str]:
    answered = platform.millpond("status", "--format", "json")
    return {part["name"]: part["state"] for part in json.loads(answered.stdout)}


def pids(platform: Platform) -> dict[str, int]:
    answered = platform.millpond("status", "--format", "json")
    return {part["name"]: part["pid"] for part in json.loads(answered.stdout)}


def command(process: psutil.Process) -> str:
    """Its command line; nothing of one that has ended meanwhile, as tasks of other tests do."""
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline())
    return ""


def test_every_part_runs(platform: Platform) -> None:
    # On a machine with much else to do a part may be late with an answer.
    until(lambda: states(platform) == dict.fromkeys(PARTS, "running"))


def is_loopback(text: str) -> bool:
    address = ip_address(text)
    # A JVM listens on 127.0.0.1 through IPv6, as ::ffff:127.0.0.1.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def test_every_listening_socket_is_loopback(platform: Platform) -> None:
    listening = platform.addresses()
    assert len(listening) >= len(PARTS) - 1  # PostgreSQL has no port
    assert [address for address in listening if not is_loopback(address)] == []


def test_no_secret_is_on_a_command_line_or_readable_by_others(platform: Platform) -> None:
    passwords = json.loads(platform.settings.airflow_passwords.read_text())
    commands = [command(process) for process in platform.processes()]
    assert any(commands)
    assert not [c for c in commands for password in passwords.values() if password in c]
    for file in (
        platform.settings.airflow_passwords,
        platform.settings.home / "airflow/airflow.cfg",
    ):
        assert file.stat().st_mode & 0o077 == 0


@pytest.mark.alone
def test_a_killed_part_is_started_again_and_the_others_stay(platform: Platform) -> None:
    before = pids(platform)
    namenode = psutil.Process(before["namenode"])
    namenode.kill()
    namenode.wait()
    assert states(platform)["namenode"] == "stopped"
    restarted = platform.millpond("up")
    assert restarted.returncode == 0, restarted.stderr
    after = pids(platform)
    assert {name for name in PARTS if before[name] != after[name]} == {"namenode"}


@pytest.fixture
def elsewhere() -> Iterator[Platform]:
    """A platform of this test alone, not started."""
    home = Path(tempfile.mkdtemp(prefix="mp-", dir="/tmp"))
    environ = environment(home, free_port_base(), home / "data")
    other = Platform(Settings.from_env(environ), environ)
    yield other
    stopped = other.millpond("down")
    left = other.processes()
    shutil.rmtree(home)
    assert stopped.returncode == 0, stopped.stderr
    assert left == []


def test_a_port_in_use_is_named_with_its_holder(elsewhere: Platform) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", elsewhere.settings.port("yarn-http")))
        holder.listen()
        refused = elsewhere.millpond("up")
    assert refused.returncode == 1
    assert f"port {elsewhere.settings.port('yarn-http')}" in refused.stderr
    assert f"process {os.getpid()}" in refused.stderr
    assert "MILLPOND_PORT_BASE" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert elsewhere.processes() == []


def test_down_leaves_no_process_of_an_up_that_was_killed_midway(elsewhere: Platform) -> None:
    starting = subprocess.Popen(
        [venv_bin() / "millpond", "up"], env=elsewhere.environ, stderr=subprocess.DEVNULL
    )
    # The first `up` of all brings the jars.
    until(lambda: any("/bin/java " in command(found) for found in elsewhere.processes()))
    starting.kill()
    starting.wait()
    assert elsewhere.processes() != []
    stopped = elsewhere.millpond("down")
    assert stopped.returncode == 0, stopped.stderr
    assert elsewhere.processes() == []


def maps_the_archive(class_path: str) -> bool:
    """Whether a JVM that must use the archive of Spark's classes starts."""
    java = str(java_home() / "bin" / "java")
    options = (*SHORT_JVM.split(), "-Xshare:on", f"-XX:SharedArchiveFile={CLASS_ARCHIVE}")
    command = [java, *options, "-cp", class_path, "-version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_jvm_maps_sparks_classes_before_the_folders_of_a_container(platform: Platform) -> None:
    folder = str(platform.settings.home)
    assert maps_the_archive(f"{spark_class_path()}:{folder}")
    assert not maps_the_archive(f"{folder}:{spark_class_path()}")
