"""The ResourceManager over REST."""

from typing import Any

import pytest
import requests

from millpond.errors import MillpondError
from millpond.yarn import ResourceManager
from tests.unit.answers import Answer, Answers


def app(id_: str, state: str = "RUNNING", tags: str = "mp-a,mp-b") -> dict[str, Any]:
    return {"id": id_, "state": state, "finalStatus": "UNDEFINED", "applicationTags": tags}


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
    assert manager(Answers(lambda *_: (404, {}))).application("application_5_0001") is None


def test_tagged_applications_come_oldest_first() -> None:
    # As text, 10000 would come before 9999.
    found = {"apps": {"app": [app("application_5_10000"), app("application_5_9999")]}}
    answers = Answers(lambda *_: (200, found))
    ids = [application.id for application in manager(answers).tagged("mp-a")]
    assert ids == ["application_5_9999", "application_5_10000"]
    assert answers.asked[0][1].endswith("/apps?applicationTags=mp-a")


@pytest.mark.parametrize("nothing", [{"apps": None}, {"apps": {}}, {}])
def test_no_tagged_application_is_an_empty_list(nothing: dict[str, Any]) -> None:
    assert manager(Answers(lambda *_: (200, nothing))).tagged("mp-a") == []


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
        return requests.ConnectionError() if down else (200, {"apps": None})

    answers = Answers(answer)
    both = manager(answers, "http://one:8088,http://two:8088")
    both.tagged("mp-a")
    both.tagged("mp-a")
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
