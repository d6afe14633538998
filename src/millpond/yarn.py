"""YARN's ResourceManager over REST: what runs, how it ended, and an end to it."""

import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import requests

from millpond.catalog.settings import Settings
from millpond.errors import MillpondError
from millpond.patience import patiently

LIVE_STATES = ("NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING")
# To connect, then to answer: a poll every 2 s must not hang for longer than it is worth.
TIMEOUT_SECONDS = (3, 5)
# Airflow gives a task that it ends 5 s in all.
HURRIED_SECONDS = (1, 2)
# OpenSSL's codes for a certificate that is signed by itself, or by somebody unknown.
UNKNOWN_ISSUER = (18, 19, 20, 21)


@dataclass(frozen=True)
class Application:
    """An application as the ResourceManager knows it; times in epoch milliseconds, 0 until then.

    `asked` says which containers it waits for; empty if it has all it wants.
    """

    id: str
    name: str
    state: str
    final_status: str
    diagnostics: str
    tags: frozenset[str]
    asked: str
    log_url: str
    started: int
    launched: int
    finished: int

    @property
    def is_live(self) -> bool:
        """Whether it can still run, or runs."""
        return self.state in LIVE_STATES

    @property
    def number(self) -> tuple[int, int]:
        """The id as numbers, by which applications are older or younger."""
        _, cluster, sequence = self.id.split("_")
        return int(cluster), int(sequence)


def forgotten(id_: str) -> Application:
    """An application of which nobody knows more than its id."""
    return _application({"id": id_, "state": "FORGOTTEN", "finalStatus": "UNDEFINED"})


class ResourceManager:
    """The ResourceManager at one of several addresses (`http://host:port`, by commas).

    One that has just started answers before it has recovered its applications: for a second or
    more it knows none of them. That it knows nothing is believed only once it says it is active.
    """

    def __init__(
        self,
        addresses: str,
        *,
        ca: Path | None = None,
        timeout: tuple[float, float] = TIMEOUT_SECONDS,
        patience: float = 0,
    ) -> None:
        """`patience` is for how many seconds it may be away before that is an error."""
        self._addresses = [address.rstrip("/") for address in addresses.split(",")]
        self._session = session(ca)
        self._timeout = timeout
        self._patience = patience

    @classmethod
    def of(cls, settings: Settings) -> "ResourceManager":
        """The one that the settings name, with their patience."""
        return cls(settings.yarn_url, ca=settings.yarn_ca, patience=settings.yarn_silence)

    @classmethod
    def hurried(cls, settings: Settings) -> "ResourceManager":
        """The same one, for who has only seconds."""
        return cls(settings.yarn_url, ca=settings.yarn_ca, timeout=HURRIED_SECONDS)

    def application(self, id_: str) -> Application | None:
        """The application; None if it is not known (any more)."""
        path = f"apps/{id_}"
        answer = self._ask("GET", path) or self._ask("GET", path, of_active=True)
        return None if answer is None else _application(answer["app"])

    def tagged(self, tag: str) -> list[Application]:
        """All known applications with a tag, the oldest first."""
        return self._list(applicationTags=tag)

    def _list(self, **query: str) -> list[Application]:
        answer = self._ask("GET", "apps", of_active=True, params=query) or {}
        apps = (answer.get("apps") or {}).get("app", [])
        return sorted((_application(app) for app in apps), key=lambda app: app.number)

    def live(self) -> list[Application]:
        """Every application that can still run, whosever it is."""
        return self._list(states=",".join(LIVE_STATES))

    def kill(self, id_: str) -> None:
        """Ask for an application's end; its state follows about a second later."""
        self._ask("PUT", f"apps/{id_}/state", json={"state": "KILLED"})

    def end(self, ids: Iterable[str], seconds: float) -> None:
        """Kill applications and see them dead.

        Raises:
            MillpondError: One still lives after `seconds`.
        """
        wanted = list(ids)
        for id_ in wanted:
            self.kill(id_)
        deadline = time.monotonic() + seconds
        for id_ in wanted:
            while (application := self.application(id_)) is not None and application.is_live:
                if time.monotonic() > deadline:
                    raise MillpondError(
                        f"{id_} was told to end and is still {application.state} after "
                        f"{seconds} s; look at its page at the ResourceManager"
                    )
                time.sleep(0.2)

    def room(self) -> str:
        """What the cluster has and what of it is free, in words."""
        metrics = (self._ask("GET", "metrics") or {})["clusterMetrics"]
        return (
            f"{metrics['availableMB']} of {metrics['totalMB']} MB and "
            f"{metrics['availableVirtualCores']} of {metrics['totalVirtualCores']} vcores are free "
            f"on {metrics['activeNodes']} nodes, and {metrics['appsPending']} applications wait"
        )

    def _ask(
        self, method: Literal["GET", "PUT"], path: str, *, of_active: bool = False, **content: Any
    ) -> Any:
        """The answer's JSON; None for 404."""
        return patiently(
            lambda: self._ask_each(method, path, of_active=of_active, **content), self._patience
        )

    def _ask_each(
        self, method: Literal["GET", "PUT"], path: str, *, of_active: bool, **content: Any
    ) -> Any:
        """The answer of the first address that has one, which is asked first next time."""
        troubles = []
        for address in list(self._addresses):
            try:
                believed = self._active(address) if of_active else address
                answer = self._request(method, believed, path, **content)
                if answer.status_code == requests.codes.not_found:
                    return None
                answer.raise_for_status()
                self._addresses.remove(address)
                self._addresses.insert(0, address)
                return answer.json()
            except _NotActiveError as error:
                troubles.append(f"{address}: {error}")
            except requests.RequestException as error:
                troubles.append(f"{address}: {_trouble(error)}")
        raise MillpondError(
            f"no ResourceManager answers ({'; '.join(troubles)}); `millpond status` says whether "
            "YARN is up; MILLPOND_YARN_URL names its addresses"
        )

    def _active(self, address: str) -> str:
        """The active one's address: this one, or that to which a standby redirects."""
        if (state := self._state(address)) == "STANDBY":
            led = urlsplit(self._request("GET", address, "metrics").url)
            address = f"{led.scheme}://{led.netloc}"
            state = self._state(address)
        if state != "ACTIVE":
            raise _NotActiveError(state)
        return address

    def _state(self, address: str) -> str:
        """ACTIVE, STANDBY, or INITIALIZING while it recovers."""
        return str(self._request("GET", address, "info").json()["clusterInfo"]["haState"])

    def _request(self, method: str, address: str, path: str, **content: Any) -> requests.Response:
        url = f"{address}/ws/v1/cluster/{path}"
        answer = self._session.request(method, url, timeout=self._timeout, **content)
        if answer.status_code == requests.codes.temporary_redirect:
            # It leads nowhere: a standby that finds no active one.
            raise _NotActiveError("STANDBY")
        return answer


class _NotActiveError(Exception):
    """What a ResourceManager says it is instead."""


def _trouble(error: requests.RequestException) -> str:
    """What kept an answer away, in a few words."""
    if (refused := _refused_certificate(error)) is None:
        return type(error).__name__
    why = refused.verify_message.rstrip(".")
    if refused.verify_code in UNKNOWN_ISSUER:
        why = f"{why}: name its authority's file in MILLPOND_YARN_CA"
    return f"its certificate is refused, {why}"


def _refused_certificate(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """What it is about, if it is that: requests and urllib3 wrap it."""
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error


def session(ca: Path | None) -> requests.Session:
    """A session with a cluster's web servers, which are not behind the office's proxy."""
    made = requests.Session()
    made.trust_env = False
    made.verify = str(ca) if ca else True
    return made


def _application(app: dict[str, Any]) -> Application:
    return Application(
        id=app["id"],
        name=app.get("name") or "",
        state=app["state"],
        final_status=app["finalStatus"],
        diagnostics=app.get("diagnostics") or "",
        tags=frozenset(filter(None, app.get("applicationTags", "").split(","))),
        asked=" and ".join(_container(asked) for asked in _anywhere(app)),
        log_url=app.get("amContainerLogs") or "",
        started=app.get("startedTime", 0),
        launched=app.get("launchTime", 0),
        finished=app.get("finishedTime", 0),
    )


def _anywhere(app: dict[str, Any]) -> list[dict[str, Any]]:
    """The open requests for containers; each is also listed once per node that would be best."""
    requests_ = app.get("resourceRequests") or []
    return [asked for asked in requests_ if asked["resourceName"] == "*" and asked["numContainers"]]


def _container(asked: dict[str, Any]) -> str:
    size = asked["capability"]
    return f"{asked['numContainers']} x {size['memory']} MB, {size['vCores']} vcores"
