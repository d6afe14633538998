"""Misbehaviour that a test asks for, and the answers that no well-behaved server gives."""

import asyncio
import socket
import struct
from typing import Any, Literal

import uvicorn
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

Way = Literal["usual", "status", "html", "half", "reset", "duplicate", "mismatch"]


class Fault(BaseModel):
    """What becomes of the next `times` requests of a path; of every one if that is 0.

    `seconds` pass after it was read. Then it is applied or not, as `applied` says, and answered:
    `usual`; with `status`, and `retry_after` as that header; with a page of `html`; `half`, which
    breaks off; by a `reset` of the connection, before the body was read if it is not applied; with
    another id each time, as if two had that name (`duplicate`); or with other names (`mismatch`).
    """

    model_config = ConfigDict(extra="forbid")

    path: str
    times: int = 1
    seconds: float = 0.0
    applied: bool = True
    answer: Way = "usual"
    status: int = 200
    retry_after: str | None = None


class Faults:
    """The faults that wait for requests; each path takes its own in their order."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def take(self, path: str) -> Fault:
        """The fault for a request."""
        for fault in self.waiting:
            if fault.path == path:
                self._use(fault)
                return fault
        return Fault(path=path)

    def _use(self, fault: Fault) -> None:
        if fault.times == 1:
            self.waiting.remove(fault)
        elif fault.times > 1:
            fault.times -= 1


class OpenTransport(HttpToolsProtocol):
    """HTTP as uvicorn speaks it, with the connection in reach of the application."""

    def on_message_begin(self) -> None:
        """A request begins: its scope gets the transport."""
        super().on_message_begin()
        self.scope["extensions"] = {"transport": {"it": self.transport}}


def misbehave(request: Request, fault: Fault, usual: Any) -> Response:
    """The answer that a fault asks for."""
    if fault.answer == "reset":
        reset(_transport(request))
    elif fault.answer == "half":
        _break_off(_transport(request))
    elif fault.answer == "html":
        return HTMLResponse("<html><body>It works!</body></html>", fault.status)
    headers = {"Retry-After": fault.retry_after} if fault.retry_after else None
    return JSONResponse(usual, fault.status, headers)


def reset(transport: asyncio.Transport) -> None:
    """End a connection as a machine that crashed does: without a word, and at once."""
    connection: socket.socket = transport.get_extra_info("socket")
    # Not to linger for 0 seconds is what makes the kernel send a reset.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _break_off(transport: asyncio.Transport) -> None:
    transport.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 64\r\n\r\n{"
    )
    transport.close()


def _transport(request: Request) -> asyncio.Transport:
    found: asyncio.Transport = request.scope["extensions"]["transport"]["it"]
    return found


def server(app: Any, port: int) -> uvicorn.Server:
    """A server on this machine alone; at any free port if that is 0."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        http=OpenTransport,
        # Its transports take a write after they were closed; uvloop's do not.
        loop="asyncio",
        access_log=False,
        log_level="warning",
        # A client that comes back within a minute finds its connection.
        timeout_keep_alive=75,
    )
    return uvicorn.Server(config)
