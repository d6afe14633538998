"""Connections that send nothing too late."""

import socket
import ssl
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util.wait import wait_for_write

# Until when what this thread sends may be sent, by `clock`.
send_until: ContextVar[float] = ContextVar("send_until")


class TooLateError(Exception):
    """The time to send had passed; the service has not got the whole request."""


def clock() -> float:
    """Seconds of a clock that also runs while this process, or the machine, stands still."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class _Fence:
    """Looks at the clock right before the bytes go out.

    A process may be stopped anywhere before, and connecting takes time, too. Nothing is called in
    between: each call is a moment in which it may be stopped, or another thread may be let run.
    """

    sock: socket.socket | None
    connect: Callable[[], None]

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        assert self.sock is not None
        sock, patience = self.sock, self.sock.gettimeout()
        # With patience it would wait until it can send, and then for its turn among the threads,
        # which on a busy machine is the likeliest moment to be stopped in.
        sock.settimeout(0)
        try:
            while data := data[_send_at_once(sock, data) :]:
                if not wait_for_write(sock, patience):
                    raise TimeoutError("the service takes no more bytes")
        finally:
            sock.settimeout(patience)


def _send_at_once(sock: socket.socket, data: bytes) -> int:
    """How many of the bytes the system has taken."""
    send, until = sock.send, send_until.get()
    try:
        if time.clock_gettime(time.CLOCK_BOOTTIME) > until:
            raise TooLateError
        return send(data)
    except (BlockingIOError, ssl.SSLWantWriteError):
        return 0


class _Http(_Fence, urllib3.connection.HTTPConnection): ...


class _Https(_Fence, urllib3.connection.HTTPSConnection): ...


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Https


class FencedAdapter(HTTPAdapter):
    """What a session speaks HTTP with: raises TooLateError once `send_until` has passed."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pool, of connections with a fence."""
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
