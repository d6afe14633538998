"""Servers that a test answers for: no socket, no luck."""

import json
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import requests
from requests.adapters import BaseAdapter

Answer = tuple[int, Any]


class Answers(BaseAdapter):
    """Answers each request by a function of its method and URL; keeps what was asked.

    An answer of 307 leads to the URL that is its content, or nowhere.
    """

    def __init__(self, answer: Callable[[str, str], Answer | Exception]) -> None:
        super().__init__()
        self._answer = answer
        self.asked: list[tuple[str, str, Any]] = []

    def send(
        self, request: requests.PreparedRequest, *arguments: Any, **options: Any
    ) -> requests.Response:
        assert request.method
        assert request.url
        body = json.loads(request.body) if request.body else None
        self.asked.append((request.method, request.url, body))
        answered = self._answer(request.method, request.url)
        if isinstance(answered, Exception):
            raise answered
        status, content = answered
        headers = {"Location": content.decode()} if status == 307 and content else {}
        return response(request, status, content, headers)

    def close(self) -> None:
        """Nothing to close."""


def response(
    request: requests.PreparedRequest,
    status: int,
    content: Any,
    headers: Mapping[str, str] | None = None,
) -> requests.Response:
    """An answer as requests gives it; `content` is bytes, or becomes JSON."""
    found = requests.Response()
    found.status_code = status
    found.request = request
    found.url = str(request.url)
    found.headers.update(headers or {})
    found.raw = BytesIO(content if isinstance(content, bytes) else json.dumps(content).encode())
    return found
