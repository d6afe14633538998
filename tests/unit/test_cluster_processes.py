import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from millpond.cluster import processes
from millpond.errors import MillpondError

# Each answers with a line once it is as the test needs it.
SLEEP = "echo ready; exec sleep 600"
DEAF = "trap '' TERM; echo ready; while :; do sleep 600; done"
WITH_CHILD = "sleep 600 & echo ready; wait"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    home.mkdir()
    yield home
    processes.end_all(found.process for found in processes.marked(home))


def start(part: str, home: Path, script: str = SLEEP) -> psutil.Process:
    log = home / "logs" / f"{part}.log"
    process = processes.start(part, home, ["sh", "-c", script], {}, log)
    while "ready" not in log.read_text():
        assert processes.is_alive(process)
    return process


def test_a_started_part_is_found_by_its_mark(home: Path) -> None:
    process = start("namenode", home)
    assert processes.main_processes(home) == {"namenode": process}


def test_a_stopped_part_is_gone(home: Path) -> None:
    process = start("namenode", home)
    processes.stop("namenode", home)
    assert not processes.is_alive(process)
    assert processes.marked(home) == []


def test_a_part_that_does_not_heed_sigterm_is_killed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.1)
    monkeypatch.setattr(processes, "KILL_SECONDS", 0.5)
    process = start("namenode", home, DEAF)
    processes.stop("namenode", home)
    assert not processes.is_alive(process)


def test_another_platform_is_not_touched(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    ours, theirs = start("namenode", home), start("namenode", other)
    try:
        assert processes.main_processes(home) == {"namenode": ours}
        processes.stop("namenode", home)
        assert processes.is_alive(theirs)
        assert processes.main_processes(other) == {"namenode": theirs}
    finally:
        processes.stop("namenode", other)


def test_another_part_is_not_touched(home: Path) -> None:
    start("namenode", home)
    datanode = start("datanode", home)
    processes.stop("namenode", home)
    assert processes.main_processes(home) == {"datanode": datanode}


def test_an_orphan_of_a_killed_part_is_not_taken_for_it_and_is_ended_with_it(home: Path) -> None:
    part = start("airflow-scheduler", home, WITH_CHILD)
    (child,) = part.children()
    part.kill()
    part.wait()
    assert processes.main_processes(home) == {}
    processes.stop("airflow-scheduler", home)
    assert not processes.is_alive(child)


def test_what_serves_a_part_ends_with_it(home: Path) -> None:
    container = start("nodemanager:container", home)
    assert processes.main_processes(home) == {}
    processes.stop("nodemanager", home)
    assert not processes.is_alive(container)


def test_preparations_of_a_killed_start_are_ended_and_parts_are_not(home: Path) -> None:
    part = start("postgres", home)
    preparation = start("airflow:preparation", home)
    processes.end_preparations(home)
    assert not processes.is_alive(preparation)
    assert processes.is_alive(part)


def test_a_part_outlives_its_starter(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from millpond.cluster import processes\n"
        "home = Path(sys.argv[1])\n"
        "print(processes.start('namenode', home, ['sleep', '600'], {}, home / 'log').pid)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, home],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stderr == ""
    assert processes.main_processes(home)["namenode"].pid == int(answer.stdout)


def test_a_part_leads_its_own_session(home: Path) -> None:
    process = start("namenode", home)
    assert os.getsid(process.pid) == process.pid  # Ctrl-C in a terminal does not reach it.


def test_a_part_gets_a_clean_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARK_CONF_DIR", "/somebody/elses")
    monkeypatch.setenv("PYTHONPATH", "/somebody/elses")
    monkeypatch.setenv("EDITOR", "ed")
    environment = processes.environment_of("namenode", home, {"JAVA_HOME": "/java"})
    assert "SPARK_CONF_DIR" not in environment
    assert "PYTHONPATH" not in environment
    assert environment["EDITOR"] == "ed"
    assert environment["JAVA_HOME"] == "/java"
    assert environment["MILLPOND_PART"] == "namenode"
    assert environment["MILLPOND_PART_HOME"] == str(home)


def test_output_goes_to_the_end_of_the_log(home: Path) -> None:
    log = home / "logs" / "part.log"
    for text in ("one", "two"):
        processes.run("part", home, ["echo", text], {}, log)
    assert log.read_text() == "one\ntwo\n"


def test_a_failed_preparation_shows_how_its_log_ends(home: Path) -> None:
    log = home / "logs" / "part.log"
    with pytest.raises(MillpondError, match=r"preparing part failed; its log .*\n    no room"):
        processes.run("part", home, ["sh", "-c", "echo no room; exit 3"], {}, log)


def test_a_stop_signal_reaches_the_part_and_not_its_children(home: Path) -> None:
    child = "trap 'echo child' USR1; echo ready; while :; do sleep 0.01; done"
    start("postgres", home, f'trap "exit 0" USR1; sh -c "{child}" & wait')
    processes.stop("postgres", home, signal.SIGUSR1)
    assert "child" not in (home / "logs" / "postgres.log").read_text()
