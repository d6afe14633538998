"""The ResourceManager over REST."""

import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from millpond.catalog.settings import Settings
from millpond.errors import MillpondError
from millpond.yarn import ResourceManager
from tests.unit.answers import Answer, Answers


def app(id_: str, state: str = "RUNNING", tags: str = "mp-a,mp-b") -> dict[str, Any]:
    return {"id": id_, "state": state, "finalStatus": "UNDEFINED", "applicationTags": tags}


def info(state: str) -> Answer:
    return 200, {"clusterInfo": {"haState": state}}


def active(answer: Answer) -> Answers:
    """A ResourceManager that is active, and has one answer to everything else."""
    return Answers(lambda _, url: info("ACTIVE") if url.endswith("/info") else answer)


def manager(answers: Answers, addresses: str = "http://one:8088") -> ResourceManager:
    found = ResourceManager(addresses)
    found._session.mount("http://", answers)
    return found


def test_an_application_is_read_from_its_page() -> None:
    page = {**app("application_5_0001"), "startedTime": 1, "launchTime": 2, "finishedTime": 3}
    answers = Answers(lambda *_: (200, {"app": page}))
    found = manager(answers).application("application_5_0001")
    assert found is not None
    assert (found.started, found.launched, found.finished) == (1, 2, 3)
    assert found.tags == {"mp-a", "mp-b"}
    assert found.is_live
    [(method, url, _)] = answers.asked
    assert (method, url) == ("GET", "http://one:8088/ws/v1/cluster/apps/application_5_0001")


@pytest.mark.parametrize(
    ("state", "is_live"),
    [
        *((state, True) for state in ("NEW", "NEW_SAVING", "SUBMITTED", "ACCEPTED", "RUNNING")),
        *((state, False) for state in ("FINISHED", "FAILED", "KILLED")),
    ],
)
def test_live_is_what_can_still_run(state: str, *, is_live: bool) -> None:
    answers = Answers(lambda *_: (200, {"app": app("application_5_0001", state)}))
    found = manager(answers).application("application_5_0001")
    assert found is not None
    assert found.is_live is is_live


def test_an_application_that_is_not_known_is_none() -> None:
    assert manager(active((404, {}))).application("application_5_0001") is None


@pytest.mark.parametrize("state", ["INITIALIZING", "STANDBY"])
def test_one_that_is_not_active_is_not_believed_to_know_nothing(state: str) -> None:
    def answer(_: str, url: str) -> Answer:
        if url.endswith("/info"):
            return info(state)
        return (404, {}) if "application_5" in url else (200, {"apps": None})

    recovering = manager(Answers(answer))
    for ask in (
        lambda: recovering.application("application_5_0001"),
        lambda: recovering.tagged("mp-a"),
    ):
        with pytest.raises(
            MillpondError, match=rf"no ResourceManager .* \(http://one:8088: {state}"
        ):
            ask()


def test_an_application_that_has_been_recovered_meanwhile_is_found() -> None:
    answers = iter([(404, {}), info("ACTIVE"), (200, {"app": app("application_5_0001")})])
    found = manager(Answers(lambda *_: next(answers))).application("application_5_0001")
    assert found is not None


def test_one_that_is_away_is_asked_again_for_as_long_as_the_settings_say(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = iter([requests.ConnectionError()] * 2 + [info("ACTIVE"), (200, {"apps": None})])
    patient = ResourceManager.of(Settings.from_env({"MILLPOND_YARN_SILENCE": "120"}))
    patient._session.mount("http://", Answers(lambda *_: next(answers)))
    monkeypatch.setattr(time, "sleep", lambda _: None)
    assert patient.tagged("mp-a") == []


def test_who_has_only_seconds_asks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hurried = ResourceManager.hurried(Settings.from_env({"MILLPOND_YARN_SILENCE": "120"}))
    asked = Answers(lambda *_: requests.ConnectionError())
    hurried._session.mount("http://", asked)
    with pytest.raises(MillpondError, match="no ResourceManager answers"):
        hurried.kill("application_5_0001")
    assert len(asked.asked) == 1


def test_the_active_one_of_two_is_asked_for_lists() -> None:
    def answer(_: str, url: str) -> Answer:
        if url.endswith("/info"):
            return info("STANDBY" if url.startswith("http://one") else "ACTIVE")
        return 200, {"apps": {"app": [app("application_5_0001")]}}

    both = manager(Answers(answer), "http://one:8088,http://two:8088")
    assert len(both.tagged("mp-a")) == 1


def test_tagged_applications_come_oldest_first() -> None:
    # As text, 10000 would come before 9999.
    found = {"apps": {"app": [app("application_5_10000"), app("application_5_9999")]}}
    answers = active((200, found))
    ids = [application.id for application in manager(answers).tagged("mp-a")]
    assert ids == ["application_5_9999", "application_5_10000"]
    assert answers.asked[-1][1].endswith("/apps?applicationTags=mp-a")


def test_a_standby_leads_to_the_active_one() -> None:
    def answer(_: str, url: str) -> Answer:
        host = url.split("/")[2]
        if url.endswith("/info"):
            return info("ACTIVE" if host == "active:8088" else "STANDBY")
        if host == "standby:8088":
            return 307, url.replace("standby", "active").encode()
        return 200, {"apps": {"app": [app("application_5_0001")]}}

    redirecting = Answers(answer)
    [found] = manager(redirecting, "http://standby:8088").tagged("mp-a")
    assert found.id == "application_5_0001"
    assert redirecting.asked[-1][1] == "http://active:8088/ws/v1/cluster/apps?applicationTags=mp-a"


def test_a_standby_that_leads_nowhere_has_no_answer() -> None:
    # So says one that finds no active one, of everything but itself.
    answers = Answers(lambda _, url: info("STANDBY") if url.endswith("/info") else (307, b""))
    standby = manager(answers)
    for ask in (
        lambda: standby.application("application_5_0001"),
        lambda: standby.kill("application_5_0001"),
        standby.live,
        standby.room,
    ):
        with pytest.raises(MillpondError, match=r"\(http://one:8088: STANDBY\)"):
            ask()


def test_a_redirected_kill_stays_a_kill() -> None:
    def answer(_: str, url: str) -> Answer:
        is_standby = url.startswith("http://standby")
        return (307, url.replace("standby", "active").encode()) if is_standby else (202, {})

    redirecting = Answers(answer)
    manager(redirecting, "http://standby:8088").kill("application_5_0001")
    method, url, body = redirecting.asked[-1]
    assert (method, url.split("/")[2], body) == ("PUT", "active:8088", {"state": "KILLED"})


def test_certificates_are_checked_against_the_authority_of_the_setting(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    environ = {"MILLPOND_YARN_URL": "https://one:8090", "MILLPOND_YARN_CA": str(authority)}
    assert ResourceManager.of(Settings.from_env(environ))._session.verify == str(authority)
    assert ResourceManager.of(Settings.from_env({}))._session.verify is True


def test_the_live_ones_are_of_every_state_that_can_still_run() -> None:
    answers = active((200, {"apps": {"app": [app("application_5_0001")]}}))
    [found] = manager(answers).live()
    assert found.is_live
    assert answers.asked[-1][1].endswith(
        "/apps?states=NEW%2CNEW_SAVING%2CSUBMITTED%2CACCEPTED%2CRUNNING"
    )


@pytest.mark.parametrize("nothing", [{"apps": None}, {"apps": {}}, {}])
def test_no_tagged_application_is_an_empty_list(nothing: dict[str, Any]) -> None:
    assert manager(active((200, nothing))).tagged("mp-a") == []


def test_a_kill_asks_for_the_state_killed() -> None:
    answers = Answers(lambda *_: (202, {}))
    manager(answers).kill("application_5_0001")
    [(method, url, body)] = answers.asked
    assert method == "PUT"
    assert url == "http://one:8088/ws/v1/cluster/apps/application_5_0001/state"
    assert body == {"state": "KILLED"}


def test_the_address_that_answers_is_asked_first_next_time() -> None:
    def answer(_: str, url: str) -> Answer | Exception:
        down = url.startswith("http://one")
        return requests.ConnectionError() if down else (202, {})

    answers = Answers(answer)
    both = manager(answers, "http://one:8088,http://two:8088")
    both.kill("application_5_0001")
    both.kill("application_5_0001")
    hosts = [url.split("/")[2] for _, url, _ in answers.asked]
    assert hosts == ["one:8088", "two:8088", "two:8088"]


def test_silence_is_one_sentence_with_every_address() -> None:
    answers = Answers(lambda *_: requests.ConnectTimeout())
    with pytest.raises(MillpondError) as raised:
        manager(answers, "http://one:8088,http://two:8088/").room()
    assert str(raised.value) == (
        "no ResourceManager answers (http://one:8088: ConnectTimeout; http://two:8088: "
        "ConnectTimeout); `millpond status` says whether YARN is up; MILLPOND_YARN_URL names its "
        "addresses"
    )


@pytest.mark.parametrize(
    ("code", "message", "why"),
    [
        (
            20,
            "unable to get local issuer certificate",
            "unable to get local issuer certificate: name its authority's file in MILLPOND_YARN_CA",
        ),
        (
            62,
            "Hostname mismatch, certificate is not valid for 'one'.",
            "Hostname mismatch, certificate is not valid for 'one'",
        ),
    ],
)
def test_a_refused_certificate_says_why(code: int, message: str, why: str) -> None:
    refused = ssl.SSLCertVerificationError()
    refused.verify_code, refused.verify_message = code, message
    error = requests.exceptions.SSLError()
    error.__cause__ = refused
    with pytest.raises(MillpondError) as raised:
        manager(Answers(lambda *_: error)).room()
    assert f"(http://one:8088: its certificate is refused, {why});" in str(raised.value)


def test_room_is_what_is_free_of_what_there_is() -> None:
    metrics = {
        "availableMB": 100,
        "totalMB": 400,
        "availableVirtualCores": 1,
        "totalVirtualCores": 4,
        "activeNodes": 2,
        "appsPending": 3,
    }
    answers = Answers(lambda *_: (200, {"clusterMetrics": metrics}))
    assert manager(answers).room() == (
        "100 of 400 MB and 1 of 4 vcores are free on 2 nodes, and 3 applications wait"
    )


def test_what_an_application_waits_for_is_said_once_for_all_nodes() -> None:
    def asked(where: str, count: int, memory: int) -> dict[str, Any]:
        size = {"memory": memory, "vCores": 1}
        return {"resourceName": where, "numContainers": count, "capability": size}

    requests_ = [
        asked("*", 2, 1408),
        asked("node-1", 2, 1408),
        asked("*", 1, 640),
        asked("*", 0, 9),
    ]
    page = {**app("application_5_0001"), "resourceRequests": requests_}
    found = manager(Answers(lambda *_: (200, {"app": page}))).application("application_5_0001")
    assert found is not None
    assert found.asked == "2 x 1408 MB, 1 vcores and 1 x 640 MB, 1 vcores"
