"""Which process holds a port that a part wants."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil

from millpond.catalog.settings import Settings
from millpond.cluster import processes
from millpond.cluster.daemons import parts
from millpond.errors import MillpondError


@dataclass(frozen=True)
class Conflict:
    """A port that a part wants and a process outside the platform has."""

    port: int
    part: str
    holder: str

    remedy = "stop it or set MILLPOND_PORT_BASE to a free block of 100 ports"

    @property
    def found(self) -> str:
        """What is wrong."""
        return f"port {self.port}, which {self.part} wants, is held by {self.holder}"


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Be the only one who starts a platform on this block of ports.

    A port is free until its part listens, and a part of another platform that does would be taken
    for ours, which ends a moment later.
    """
    with socket.socket(socket.AF_UNIX) as name:
        try:
            # In no folder, and gone with this process however it ends.
            name.bind(f"\0millpond-ports-{settings.port_base}")
        except OSError:
            raise MillpondError(
                f"another platform is just being started on the ports {settings.port_base} to "
                f"{settings.port_base + 99}; wait for it and stop it, or set MILLPOND_PORT_BASE to "
                "a free block of 100 ports"
            ) from None
        yield


def require_free(settings: Settings) -> None:
    """Raise for the first port that another process holds."""
    for conflict in conflicts(settings):
        raise MillpondError(f"{conflict.found}; {conflict.remedy}")


def conflicts(settings: Settings) -> Iterator[Conflict]:
    """Every port of the platform that a process outside it holds."""
    ours = {found.process.pid for found in processes.marked(settings.home)}
    others = {
        connection.laddr.port: connection.pid
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
        and connection.laddr
        and connection.pid not in ours
    }
    for part in parts(settings):
        for port in map(settings.port, part.listeners):
            if port in others:
                yield Conflict(port, part.name, holder(others[port]))


def holder(pid: int | None) -> str:
    """A process as a person knows it; another user's is hidden."""
    if pid is None:
        return "a process of another user"
    try:
        command = " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return f"process {pid}"
    if len(command) > 100:
        # The class of a Java program is at the end, behind a long class path.
        command = f"{command[:40]} ... {command[-55:]}"
    return f"process {pid} ({command})"
