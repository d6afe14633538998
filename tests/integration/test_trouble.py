"""Trouble on the real platform: a sentence with the remedy, and a second try that works."""

import json
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from millpond.catalog.analyses import RATING_HISTOGRAM
from millpond.cluster.config import airflow_environment
from millpond.cluster.daemons import hadoop_class
from millpond.errors import MillpondError
from millpond.run import Run
from millpond.yarn import ResourceManager
from tests.integration.local_platform import Platform
from tests.integration.test_staging import D1, Stager
from tests.waiting import until


def dfsadmin(platform: Platform, *arguments: str) -> None:
    command = [*hadoop_class(platform.settings, "hdfs.tools.DFSAdmin"), *arguments]
    subprocess.run(command, check=True, capture_output=True)


@pytest.fixture
def safe_mode(platform: Platform) -> Iterator[None]:
    dfsadmin(platform, "-safemode", "enter")
    yield
    dfsadmin(platform, "-safemode", "leave")


def findings(platform: Platform) -> dict[str, dict[str, Any]]:
    answered = platform.millpond("doctor", "--format", "json")
    return {check["name"]: check for check in json.loads(answered.stdout)}


def test_doctor_finds_nothing_on_a_healthy_platform(platform: Platform) -> None:
    # Applications of other tests may take all the room on YARN for a while.
    until(lambda: all(check["ok"] for check in findings(platform).values()))


@pytest.mark.alone
@pytest.mark.usefixtures("safe_mode")
def test_a_namenode_in_safe_mode_is_named(platform: Platform, tmp_path: Path) -> None:
    stager = Stager(platform, tmp_path)
    stager.put(b"content")
    with pytest.raises(MillpondError, match=r"could not upload .*safe mode.*`millpond doctor`"):
        stager.stage(D1)
    assert stager.staged(platform, D1) is None
    namenode = findings(platform)["namenode"]
    assert not namenode["ok"]
    assert "Safe mode is ON" in namenode["found"]
    assert "-safemode leave" in namenode["found"]


def test_after_safe_mode_the_same_file_is_staged(platform: Platform, tmp_path: Path) -> None:
    stager = Stager(platform, tmp_path)
    stager.put(b"content")
    stager.stage(D1)
    assert stager.staged(platform, D1) == b"content"


def test_an_application_larger_than_the_cluster_says_what_was_asked_and_what_exists(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, day: date
) -> None:
    for name, value in airflow_environment(platform.settings).items():
        monkeypatch.setenv(name, value)
    # Airflow reads its configuration when it is imported.
    from millpond.airflow.operators import YarnSparkOperator  # noqa: PLC0415

    operator = YarnSparkOperator(
        task_id="analyse.rating_histogram",
        application=str(platform.settings.apps_dir / "rating_histogram.py"),
        table=RATING_HISTOGRAM.mart,
        analyses=("rating_histogram",),
        conf={"spark.driver.memory": "300g"},
    )
    yarn = ResourceManager(platform.settings.yarn_url)
    run = Run(day, "0199-large", 1, "test", platform.settings.root)
    with pytest.raises(MillpondError) as raised:
        operator._submit(yarn, run, ("mp-test-large",))
    sentence = str(raised.value)
    assert sentence.startswith("spark-submit ended with 1: ")
    assert "Required AM memory (307200+" in sentence  # 300 GB in MB
    assert "is above the max threshold" in sentence
    assert "MB and" in sentence
    assert "vcores are free on 1 nodes" in sentence
    assert yarn.tagged("mp-test-large") == []
