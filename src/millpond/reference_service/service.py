"""The two calls of the customer service, a log of every request, and a switch for faults."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from millpond.reference_service.customers import json_text, known_customers, normalised
from millpond.reference_service.faults import Fault, Faults, misbehave

Handled = tuple[int, Any]  # status and JSON


class Authorization(BaseModel):
    """The value of the header Authorization that is asked for; null lets everybody in."""

    header: str | None


class Service:
    """What the service holds: counts by the id's JSON text; and its log, which tells them again."""

    def __init__(self, log: Path) -> None:
        self.counts: dict[str, int] = {}
        self.faults = Faults()
        self.authorization: str | None = None
        self._customers = known_customers()
        log.touch(mode=0o600)
        self._path, self._log = log, log.open("a", buffering=1)
        self._order = 0
        for entry in self.requests():  # of a service before this one
            self._order += 1
            if entry["path"] == "/data" and entry["applied"]:
                self.data(json.loads(entry["body"]))

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    def requests(self) -> Iterator[dict[str, Any]]:
        """Every request so far, in the order in which they were applied."""
        return map(json.loads, self._path.read_text().splitlines())

    async def answer_get_customer(self, request: Request) -> Response:
        """POST /getcustomer."""
        return await self._handle(request, self.get_customer)

    async def answer_data(self, request: Request) -> Response:
        """POST /data."""
        return await self._handle(request, self.data)

    async def get_counts(self) -> dict[str, int]:
        """GET /counts."""
        return self.counts

    async def get_requests(self) -> list[dict[str, Any]]:
        """GET /requests."""
        return list(self.requests())

    async def get_faults(self) -> list[Fault]:
        """GET /faults: those that still wait for requests."""
        return self.faults.waiting

    async def set_faults(self, faults: list[Fault]) -> None:
        """PUT /faults: what goes wrong from now on."""
        self.faults.waiting = faults

    async def set_authorization(self, wanted: Authorization) -> None:
        """PUT /authorization: who is let in from now on."""
        self.authorization = wanted.header

    async def _handle(self, request: Request, act: Callable[[Any], Handled]) -> Response:
        """Answer a request, as the next fault for it says."""
        fault = self.faults.take(request.url.path)
        entry = {"at": time.time(), "method": request.method, "path": request.url.path}
        entry["key"] = request.headers.get("idempotency-key")
        if fault.answer == "reset" and not fault.applied:
            self._write(entry, body=None, status=None, applied=False)
            return misbehave(request, fault, None)
        body = (await request.body()).decode(errors="replace")
        await asyncio.sleep(fault.seconds)  # whoever asked may be gone by then
        fault, content, applied = self._apply(fault, request, body, act)
        status = None if fault.answer in ("reset", "half") else fault.status
        self._write(entry, body=body, status=status, applied=applied)
        return misbehave(request, fault, content)

    def _apply(
        self, fault: Fault, request: Request, body: str, act: Callable[[Any], Handled]
    ) -> tuple[Fault, Any, bool]:
        if self.authorization not in (None, request.headers.get("authorization")):
            refused = {"answer": "status", "status": HTTPStatus.UNAUTHORIZED}
            return fault.model_copy(update=refused), {"detail": "who are you?"}, False
        if not fault.applied:
            return fault, {"detail": "on purpose"}, False
        status, content = act(_json(body))
        if fault.answer == "usual":
            fault = fault.model_copy(update={"status": status})
        return fault, _other(fault, content, self._order), status < HTTPStatus.BAD_REQUEST

    def data(self, body: Any) -> Handled:
        """Take a customer's count in place of the one before."""
        match body:
            case {"customerId": int() | str() as id_, "intercationNumber": int() as count}:
                self.counts[json_text(id_)] = count
                return HTTPStatus.OK, {"status": "ok"}
        return HTTPStatus.UNPROCESSABLE_ENTITY, {"detail": "customerId and intercationNumber"}

    def get_customer(self, body: Any) -> Handled:
        """The customer of a name."""
        match body:
            case {"firstname": str() as first, "lastname": str() as last}:
                id_ = self._customers.get(normalised(first, last))
                if id_ is None:
                    return HTTPStatus.NOT_FOUND, {"detail": "no such customer"}
                return HTTPStatus.OK, {"customerId": id_, "firstname": first, "lastname": last}
        return HTTPStatus.UNPROCESSABLE_ENTITY, {"detail": "firstname and lastname"}

    def _write(self, entry: dict[str, Any], **more: Any) -> None:
        self._log.write(json.dumps({"order": self._order, **entry, **more}) + "\n")
        self._order += 1


def _other(fault: Fault, content: Any, number: int) -> Any:
    """The answer with another id, or another name, where the fault asks for it."""
    if fault.answer == "duplicate":
        return {**content, "customerId": f"d-{number}"}
    return {**content, "lastname": "Somebody Else"} if fault.answer == "mismatch" else content


def _json(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def application(log: Path) -> FastAPI:
    """The service as an application; `log` gets a JSON line for each request."""
    service = Service(log)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(title="Customer service of a local Millpond", lifespan=lifespan)
    app.post("/getcustomer")(service.answer_get_customer)
    app.post("/data")(service.answer_data)
    app.get("/counts")(service.get_counts)
    app.get("/requests")(service.get_requests)
    app.get("/faults")(service.get_faults)
    app.put("/faults")(service.set_faults)
    app.put("/authorization")(service.set_authorization)
    return app
