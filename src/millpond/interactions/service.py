"""The customer service over HTTP: two calls, and what each answer, or its absence, means."""

import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.auth import AuthBase, HTTPBasicAuth

from millpond.catalog.interactions import Contract
from millpond.errors import BadInputError
from millpond.interactions import fence

# To connect, then for each part of an answer.
TIMEOUT_SECONDS = (3.0, 15.0)
# An answer is a few names; more is not read.
LARGEST_ANSWER = 64 * 1024
# Who asks to be left alone for longer is asked again after a day.
LONGEST_WAIT_SECONDS = 24 * 3600.0
TRY_LATER = (408, 425, 429)
CONNECTION = "the connection customer_service"


class Outcome(StrEnum):
    """What became of a request.

    ACK: the service has taken it. RETRY: it has not; later it may. AMBIGUOUS: nobody knows. REJECT:
    it refuses this one. STOP: it would refuse every one. UNSENT: it was too late to send it.
    """

    ACK = "ack"
    RETRY = "retry"
    AMBIGUOUS = "ambiguous"
    REJECT = "reject"
    STOP = "stop"
    UNSENT = "unsent"


@dataclass(frozen=True)
class Answer:
    """An outcome; `why` names what went wrong, without ids and names.

    `status` is HTTP's, None without an answer; `content` the JSON of an ACK; `wait` the seconds
    for which the service asked to be left alone.
    """

    outcome: Outcome
    status: int | None = None
    content: Any = None
    wait: float = 0.0
    why: str = ""


@dataclass(frozen=True)
class Endpoint:
    """Where the service is and as whom it is asked.

    A user and a password are basic authentication, a password alone is a bearer token. `ca_file`
    has the certificates to trust instead of the usual ones.
    """

    url: str
    user: str = ""
    password: str = ""
    ca_file: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        is_local = parts.scheme == "http" and _is_loopback(parts.hostname or "")
        if not is_local and (parts.scheme != "https" or not parts.hostname):
            raise BadInputError(
                f"the customer service is at {parts.scheme}://{parts.hostname}; give an https "
                f"address in {CONNECTION}: without TLS it may only be on this machine"
            )
        if not f"{self.user}{self.password}".isprintable():
            # The value is in no message: it is a secret.
            raise BadInputError(
                f"the login or the password in {CONNECTION} has a line break or another character "
                "that cannot be sent; enter it again"
            )
        if self.ca_file and not Path(self.ca_file).is_file():
            raise BadInputError(
                f"ca_file in {CONNECTION} is {self.ca_file}, and there is no such file; give one "
                "with the certificates to trust"
            )

    def __repr__(self) -> str:
        return f"Endpoint({urlsplit(self.url).hostname})"

    @property
    def auth(self) -> AuthBase | None:
        """What signs a request."""
        if self.user:
            return HTTPBasicAuth(self.user.encode(), self.password.encode())
        return _Bearer(self.password) if self.password else None


class CustomerService:
    """The service at the endpoint that `read` gives; threads may share it.

    `read` is asked once more when the service answers 401, for a token may have been renewed.

    Raises:
        BadInputError: The endpoint may not be spoken to.
    """

    def __init__(
        self,
        read: Callable[[], Endpoint],
        contract: Contract,
        timeout: tuple[float, float] = TIMEOUT_SECONDS,
    ) -> None:
        self.contract = contract
        self._timeout = timeout
        self._access = _Access(read)
        self._local = threading.local()

    def get_customer(self, first_name: str, last_name: str) -> Answer:
        """Ask for the customer of that name."""
        names = {self.contract.first_name: first_name, self.contract.last_name: last_name}
        body = json.dumps(names, ensure_ascii=False)
        return self._ask(self.contract.get_path, body, {}, float("inf"))

    def post_count(self, customer_id: str, count: int, key: str, send_until: float) -> Answer:
        """Post a customer's count.

        `customer_id` is the id's JSON text, `key` what makes a repeated request known as such;
        nothing is sent once the time, by `fence.clock`, is after `send_until`.
        """
        id_, number = (json.dumps(self.contract.id), json.dumps(self.contract.count))
        body = f"{{{id_}: {customer_id}, {number}: {count}}}"
        return self._ask(self.contract.post_path, body, {"Idempotency-Key": key}, send_until)

    def _ask(self, path: str, body: str, headers: dict[str, str], send_until: float) -> Answer:
        endpoint, reading = self._access.current
        fence.send_until.set(send_until)
        verify = endpoint.ca_file or True
        try:
            request = _request(endpoint, path, body, headers)
            with self._session.send(
                request, timeout=self._timeout, verify=verify, allow_redirects=False, stream=True
            ) as response:
                return self._understand(response, reading)
        except fence.TooLateError:
            return Answer(Outcome.UNSENT, why="its deadline had passed")
        except requests.RequestException as error:
            return _without_answer(error)

    @property
    def _session(self) -> requests.Session:
        """One of this thread's own: sessions are not made to be shared."""
        if not hasattr(self._local, "session"):
            session = requests.Session()
            session.trust_env = False  # no proxy, and no password from a file nobody thought of
            session.mount("http://", fence.FencedAdapter())
            session.mount("https://", fence.FencedAdapter())
            self._local.session = session
        found: requests.Session = self._local.session
        return found

    def _understand(self, response: requests.Response, reading: int) -> Answer:
        status = response.status_code
        if status == HTTPStatus.UNAUTHORIZED:
            return self._access.refused(reading)
        self._access.accepted(reading)
        wait = seconds_to_wait(response.headers.get("Retry-After"))
        why = f"it answered {status}"
        if status >= 500 or status in TRY_LATER:
            return Answer(Outcome.RETRY, status, wait=wait, why=why)
        if status >= 400 and status != HTTPStatus.FORBIDDEN:
            return Answer(Outcome.REJECT, status, why=why)
        if not 200 <= status < 300:
            return Answer(Outcome.STOP, status, why=f"{why}: {STOPS.get(status, REDIRECTED)}")
        return _taken(response)


def _request(
    endpoint: Endpoint, path: str, body: str, headers: dict[str, str]
) -> requests.PreparedRequest:
    """A request, not prepared by a session, which looks for headers and cookies of its own.

    That made a request cost 1.2 ms of processor in place of 1.7 (benchmarks/post.py).
    """
    return requests.Request(
        "POST",
        endpoint.url.rstrip("/") + path,
        {"Content-Type": "application/json", **headers},
        data=body.encode(),
        auth=endpoint.auth,
    ).prepare()


STOPS = {403: f"whom {CONNECTION} names may not do this"}
REDIRECTED = f"redirects are not followed; give {CONNECTION} the final address"


class _Access:
    """The endpoint, and how often it was read: a 401 has it read again, once until it is good."""

    def __init__(self, read: Callable[[], Endpoint]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._is_doubted = False
        self.current = (read(), 0)

    def accepted(self, reading: int) -> None:
        """The service let in whom the connection named at that reading."""
        if self._is_doubted and reading == self.current[1]:
            self._is_doubted = False

    def refused(self, reading: int) -> Answer:
        """What a 401 means: RETRY as whom the connection names by now, or else STOP."""
        with self._lock:
            if reading == self.current[1]:
                if self._is_doubted:
                    why = f"it answered 401, also after {CONNECTION} was read again"
                    return Answer(Outcome.STOP, 401, why=f"{why}: mend its password or token")
                self._is_doubted = True
                self.current = (self._read(), reading + 1)
        return Answer(Outcome.RETRY, 401, why="it answered 401; the connection is read again")


def _taken(response: requests.Response) -> Answer:
    """A 2xx is an ACK if it says nothing, or JSON to its end."""
    content = bytearray()
    for part in response.iter_content(LARGEST_ANSWER):
        content += part
        if len(content) > LARGEST_ANSWER:
            why = f"it answered {response.status_code} with more than {LARGEST_ANSWER} bytes"
            return Answer(Outcome.AMBIGUOUS, response.status_code, why=why)
    try:
        found = json.loads(content) if content.strip() else None
    except (ValueError, RecursionError):
        why = f"it answered {response.status_code} with what is no JSON"
        return Answer(Outcome.AMBIGUOUS, response.status_code, why=why)
    return Answer(Outcome.ACK, response.status_code, found)


def _without_answer(error: requests.RequestException) -> Answer:
    if isinstance(error, requests.exceptions.InvalidURL):
        return Answer(Outcome.STOP, why=f"the address in {CONNECTION} is none")
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)  # of urllib3's MaxRetryError
    name = type(reason or error).__name__
    if _is_of_certificate(reason):
        remedy = f"name the CA's file in {CONNECTION} as ca_file"
        return Answer(Outcome.STOP, why=f"its certificate is not trusted ({name}); {remedy}")
    if isinstance(
        reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError
    ):
        return Answer(Outcome.RETRY, why=f"no connection ({name})")
    return Answer(Outcome.AMBIGUOUS, why=f"no whole answer ({name})")


def _is_of_certificate(reason: object) -> bool:
    inner = reason.args[0] if isinstance(reason, Exception) and reason.args else None
    return isinstance(inner, ssl.SSLCertVerificationError)


def seconds_to_wait(retry_after: str | None) -> float:
    """What the header Retry-After asks for: seconds, or a date; 0 if it is neither."""
    text = (retry_after or "").strip()
    try:
        if text.isdecimal():
            wait = float(text)
        else:
            wait = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):  # no date; a date without a zone
        return 0.0
    return min(max(wait, 0.0), LONGEST_WAIT_SECONDS)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Bearer(AuthBase):
    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # A header is written as Latin-1; what comes out is UTF-8, in which ASCII is as it was.
        request.headers["Authorization"] = f"Bearer {self._token}".encode().decode("latin-1")
        return request
