"""Faults on the real platform: `make test-faults CASE=16 REPEAT=3`."""

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from tests.faults.holding import Hold
from tests.faults.world import World
from tests.integration.local_platform import Platform
from tests.ledger.conftest import ledger, ledger_url, posting, reference

__all__ = ["ledger", "ledger_url", "posting", "reference"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--case", help="number of one fault; all by default")
    parser.addoption("--repeat", type=int, default=1, help="how often, each with another seed")
    parser.addoption("--quick", action="store_true", help="leave out those that need minutes")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if (repeat := metafunc.config.getoption("--repeat", 1)) > 1:
        metafunc.fixturenames.append("seed")
        metafunc.parametrize("seed", range(1, repeat + 1))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    case = config.getoption("--case", None)
    for item in list(items):
        # A parameter of a test may be slow where the test is not.
        marks = list(item.iter_markers("case"))
        is_other = case is not None and all(str(mark.args[0]) != case for mark in marks)
        is_slow = any(mark.kwargs.get("slow") for mark in marks)
        if marks and (is_other or (is_slow and config.getoption("--quick", default=False))):
            items.remove(item)


@pytest.fixture
def world(platform: Platform, spark: SparkSession) -> World:
    return World(platform, spark)


@pytest.fixture
def seed() -> int:
    """What draws the moments at which faults come."""
    return 1


@pytest.fixture(scope="module")
def holding(platform: Platform) -> Iterator[Hold]:
    hold = Hold(platform)
    yield hold
    hold.kept_secrets()


@pytest.fixture
def hold(holding: Hold, seed: int) -> Iterator[Hold]:
    holding.draw.seed(seed)
    with holding.watched():
        yield holding
        unwanted = holding.unwanted()
        holding.end()
        assert unwanted == []
