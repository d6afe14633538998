"""The reference service for a test: the real one, over HTTP, told what to do wrong."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self
from unittest.mock import patch
from urllib.parse import urlsplit

import requests

from millpond.catalog.interactions import Contract
from millpond.catalog.settings import Settings
from millpond.interactions.service import CustomerService, Endpoint
from millpond.reference_service import service
from millpond.reference_service.faults import server
from tests.waiting import HANGS_SECONDS, until

HERE = Settings.from_env({})
CONTRACT = Contract.parse(HERE.service_paths, HERE.service_keys)


class Reference:
    """A service at `url` while the block lasts."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._server = server(service.application(log), 0)
        self._thread = threading.Thread(target=self._server.run)

    def __enter__(self) -> Self:
        self._thread.start()
        until(lambda: self._server.started)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()

    @property
    def connection(self) -> str:
        """Airflow's connection to it, as a variable has it."""
        parts = urlsplit(self.url)
        found = {"conn_type": "http", "schema": parts.scheme, "host": parts.hostname}
        return json.dumps({**found, "port": parts.port})

    def faults(self, *faults: dict[str, Any]) -> None:
        """What goes wrong from now on, at /data where nothing else is said."""
        self._put("faults", [{"path": "/data", **fault} for fault in faults])

    @contextmanager
    def held_back(self, number: int = 1) -> Iterator[Callable[[], None]]:
        """While inside, the next requests at /data are neither applied nor answered.

        What it gives waits until so many have come.
        """
        come, over = threading.Semaphore(0), threading.Event()

        async def sleep(seconds: float) -> None:
            if seconds:
                come.release()
                await asyncio.to_thread(over.wait)

        def wait() -> None:
            for _ in range(number):
                assert come.acquire(timeout=HANGS_SECONDS)

        with patch.object(service, "asyncio", SimpleNamespace(sleep=sleep)):
            self.faults({"seconds": 1, "times": number})
            try:
                yield wait
            finally:
                over.set()

    def ask_for(self, authorization: str | None) -> None:
        """The header Authorization that it wants."""
        self._put("authorization", {"header": authorization})

    @property
    def counts(self) -> dict[str, int]:
        """The count of each customer, as the service holds it."""
        with requests.get(f"{self.url}/counts", timeout=60) as answer:
            found: dict[str, int] = answer.json()
            return found

    @property
    def requests(self) -> list[dict[str, Any]]:
        """Every request, in the order in which they were applied."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def service(self, timeout: tuple[float, float] = (3, 10), **endpoint: str) -> CustomerService:
        """A client of it."""
        return CustomerService(lambda: Endpoint(self.url, **endpoint), CONTRACT, timeout)

    def _put(self, path: str, body: Any) -> None:
        requests.put(f"{self.url}/{path}", json=body, timeout=60).raise_for_status()
