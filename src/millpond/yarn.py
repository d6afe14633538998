"""YARN's ResourceManager over REST: what runs, how it ended, and an end to it."""

from dataclasses import dataclass
from typing import Any, Literal

import requests

from millpond.errors import MillpondError

LIVE_STATES = ("NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING")
# To connect, then to answer: a poll every 2 s must not hang for longer than it is worth.
TIMEOUT_SECONDS = (3, 5)


@dataclass(frozen=True)
class Application:
    """An application as the ResourceManager knows it; times in epoch milliseconds, 0 until then."""

    id: str
    state: str
    final_status: str
    diagnostics: str
    tags: frozenset[str]
    tracking_url: str
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


class ResourceManager:
    """The ResourceManager at one of several addresses (`http://host:port`, by commas)."""

    def __init__(self, addresses: str, *, ca_file: str | None = None) -> None:
        self._addresses = [address.rstrip("/") for address in addresses.split(",")]
        self._session = requests.Session()
        self._session.trust_env = False  # a cluster's daemons are not behind the office's proxy
        self._session.verify = ca_file or True

    def application(self, id_: str) -> Application | None:
        """The application; None if it is not known (any more)."""
        answer = self._ask("GET", f"apps/{id_}")
        return None if answer is None else _application(answer["app"])

    def tagged(self, tag: str) -> list[Application]:
        """All known applications with a tag, the oldest first."""
        answer = self._ask("GET", "apps", params={"applicationTags": tag}) or {}
        apps = (answer.get("apps") or {}).get("app", [])
        return sorted((_application(app) for app in apps), key=lambda app: app.number)

    def kill(self, id_: str) -> None:
        """Ask for an application's end; its state follows about a second later."""
        self._ask("PUT", f"apps/{id_}/state", json={"state": "KILLED"})

    def room(self) -> str:
        """What the cluster has and what of it is free, in words."""
        metrics = (self._ask("GET", "metrics") or {})["clusterMetrics"]
        return (
            f"{metrics['availableMB']} of {metrics['totalMB']} MB and "
            f"{metrics['availableVirtualCores']} of {metrics['totalVirtualCores']} vcores are free "
            f"on {metrics['activeNodes']} nodes, and {metrics['appsPending']} applications wait"
        )

    def _ask(self, method: Literal["GET", "PUT"], path: str, **content: Any) -> Any:
        """The answer's JSON; None for 404. The address that answered is asked first next time."""
        troubles = []
        for address in list(self._addresses):
            try:
                answer = self._session.request(
                    method, f"{address}/ws/v1/cluster/{path}", timeout=TIMEOUT_SECONDS, **content
                )
                if answer.status_code == requests.codes.not_found:
                    return None
                answer.raise_for_status()
                self._addresses.remove(address)
                self._addresses.insert(0, address)
                return answer.json()
            except requests.RequestException as error:
                troubles.append(f"{address}: {type(error).__name__}")
        raise MillpondError(
            f"no ResourceManager answers ({'; '.join(troubles)}); `millpond status` says whether "
            "YARN is up; MILLPOND_YARN_URL names its addresses"
        )


def _application(app: dict[str, Any]) -> Application:
    return Application(
        id=app["id"],
        state=app["state"],
        final_status=app["finalStatus"],
        diagnostics=app.get("diagnostics") or "",
        tags=frozenset(filter(None, app.get("applicationTags", "").split(","))),
        tracking_url=app.get("trackingUrl") or "",
        log_url=app.get("amContainerLogs") or "",
        started=app.get("startedTime", 0),
        launched=app.get("launchTime", 0),
        finished=app.get("finishedTime", 0),
    )
