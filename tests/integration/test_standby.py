"""The client of YARN with two real ResourceManagers: a standby, a failover, and TLS."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from millpond.catalog.settings import Settings
from millpond.errors import MillpondError
from millpond.yarn import ResourceManager
from tests.integration.resource_managers import RM1, RM2, Pair, two
from tests.ledger.servers import certificate_of
from tests.waiting import until

UNKNOWN = "application_5_0001"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with two(tmp_path_factory.mktemp("yarn")) as pair:
        yield pair


def client(pair: Pair, *ids: str) -> ResourceManager:
    """What knows the addresses of these, in this order."""
    return trusting(pair.authority, *map(pair.url, ids))


def trusting(authority: Path | None, *addresses: str) -> ResourceManager:
    given = {"MILLPOND_YARN_URL": ",".join(addresses), "MILLPOND_YARN_CA": str(authority or "")}
    return ResourceManager.of(Settings.from_env({**given, "MILLPOND_YARN_SILENCE": "0"}))


def is_accepted(yarn: ResourceManager, id_: str) -> bool:
    """Then it is also in the store that both read."""
    found = yarn.application(id_)
    return found is not None and found.state == "ACCEPTED"


def test_two_standbys_are_not_believed_to_know_nothing(pair: Pair) -> None:
    pair.have_active(None)
    yarn = client(pair, RM1, RM2)
    standbys = re.escape(f"answers ({pair.url(RM1)}: STANDBY; {pair.url(RM2)}: STANDBY);")
    for ask in (
        yarn.live,
        lambda: yarn.tagged("mp-a"),
        lambda: yarn.application(UNKNOWN),
        lambda: yarn.kill(UNKNOWN),
        yarn.room,
    ):
        with pytest.raises(MillpondError, match=standbys):
            ask()


@pytest.mark.parametrize("named", [(RM1, RM2), (RM2, RM1), (RM2,)], ids=" ".join)
def test_the_active_one_answers_whoever_is_asked(pair: Pair, named: tuple[str, ...]) -> None:
    pair.have_active(RM1)
    yarn = client(pair, *named)
    assert yarn.live() == []
    assert yarn.application(UNKNOWN) is None
    assert yarn.room() == (
        "0 of 0 MB and 0 of 0 vcores are free on 0 nodes, and 0 applications wait"
    )


def test_an_application_is_ended_through_the_standby(pair: Pair) -> None:
    pair.have_active(RM1)
    active, standby = client(pair, RM1), client(pair, RM2)
    id_ = pair.submit(RM1)
    until(lambda: is_accepted(active, id_))
    assert [application.id for application in standby.live()] == [id_]
    standby.end([id_], 30)
    killed = active.application(id_)
    assert killed is not None
    assert killed.state == "KILLED"
    assert active.live() == []


def test_a_failover_is_followed(pair: Pair) -> None:
    pair.have_active(RM1)
    yarn = client(pair, RM1, RM2)
    id_ = pair.submit(RM1)
    until(lambda: is_accepted(yarn, id_))
    pair.kill(RM1)
    left = re.escape(f"({pair.url(RM1)}: ConnectionError; {pair.url(RM2)}: STANDBY);")
    with pytest.raises(MillpondError, match=left):
        yarn.live()
    pair.promote(RM2)
    assert [application.id for application in yarn.live()] == [id_]
    yarn.end([id_], 30)
    killed = client(pair, RM2).application(id_)
    assert killed is not None
    assert killed.state == "KILLED"
    assert yarn.live() == []


@pytest.mark.parametrize("trusted", ["what the system trusts", "another"])
def test_a_certificate_of_an_unknown_authority_is_refused(
    pair: Pair, tmp_path: Path, trusted: str
) -> None:
    pair.have_active(RM1)
    other = certificate_of("DNS:other", tmp_path) if trusted == "another" else None
    with pytest.raises(MillpondError) as raised:
        trusting(other, pair.url(RM1)).live()
    assert str(raised.value) == (
        f"no ResourceManager answers ({pair.url(RM1)}: its certificate is refused, unable to get "
        "local issuer certificate: name its authority's file in MILLPOND_YARN_CA); `millpond "
        "status` says whether YARN is up; MILLPOND_YARN_URL names its addresses"
    )


def test_a_certificate_for_another_name_is_refused(pair: Pair) -> None:
    pair.have_active(RM1)
    address = pair.url(RM1).replace("localhost", "127.0.0.1")
    with pytest.raises(MillpondError) as raised:
        trusting(pair.authority, address).live()
    # No authority would help.
    assert (
        f"({address}: its certificate is refused, IP address mismatch, certificate is not valid "
        "for '127.0.0.1');"
    ) in str(raised.value)
