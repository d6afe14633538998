import os
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from millpond.catalog.settings import Settings
from millpond.cluster import ports, processes
from millpond.errors import MillpondError


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_env({"MILLPOND_HOME": str(tmp_path), "MILLPOND_PORT_BASE": "23000"})


def listen(monkeypatch: pytest.MonkeyPatch, *held: tuple[int, int | None], status: str) -> None:
    connections = [
        SimpleNamespace(laddr=SimpleNamespace(port=port), status=status, pid=pid)
        for port, pid in held
    ]
    monkeypatch.setattr(psutil, "net_connections", lambda kind: connections)


def test_a_held_port_names_itself_the_part_and_the_holder(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(monkeypatch, (23070, os.getpid()), status=psutil.CONN_LISTEN)
    with pytest.raises(MillpondError) as caught:
        ports.require_free(settings)
    message = str(caught.value)
    assert message.startswith(
        f"port 23070, which namenode wants, is held by process {os.getpid()} ("
    )
    assert message.endswith("; stop it or set MILLPOND_PORT_BASE to a free block of 100 ports")


def test_a_holder_of_another_user_is_called_so(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(monkeypatch, (23080, None), status=psutil.CONN_LISTEN)
    with pytest.raises(MillpondError, match="airflow-api-server wants, .* of another user"):
        ports.require_free(settings)


def test_ports_of_no_part_and_outgoing_connections_are_no_conflict(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(monkeypatch, (23001, 1), (18080, 1), status=psutil.CONN_LISTEN)
    ports.require_free(settings)
    listen(monkeypatch, (23070, 1), status=psutil.CONN_TIME_WAIT)
    ports.require_free(settings)


def test_what_the_platform_itself_holds_is_no_conflict(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = processes.start(
        "namenode", settings.home, ["sleep", "600"], {}, settings.home / "log"
    )
    try:
        while not processes.main_processes(settings.home):
            time.sleep(0.01)
        listen(monkeypatch, (23070, process.pid), status=psutil.CONN_LISTEN)
        ports.require_free(settings)
    finally:
        processes.stop("namenode", settings.home)


def test_a_long_command_keeps_its_beginning_and_its_end() -> None:
    child = subprocess.Popen(["sleep", *["0"] * 60, "600"])
    try:
        while "600" not in psutil.Process(child.pid).cmdline():
            time.sleep(0.01)
        holder = ports.holder(child.pid)
        assert holder.startswith(f"process {child.pid} (sleep 0 0")
        assert holder.endswith(" 0 600)")
        assert len(holder) < 130
    finally:
        child.kill()
        child.wait()
