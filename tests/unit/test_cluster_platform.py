import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from typer.testing import CliRunner

from millpond.catalog.partitions import Hour
from millpond.catalog.settings import Settings
from millpond.cli import platform as commands
from millpond.cli.main import app
from millpond.cluster import doctor, health, jars, platform, postgres, processes
from millpond.cluster.daemons import Part, parts
from millpond.cluster.steps import Step
from millpond.errors import MillpondError


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = Settings.from_env({"MILLPOND_HOME": str(tmp_path), "MILLPOND_PORT_BASE": "23000"})
    yield settings
    processes.end_all(found.process for found in processes.marked(settings.home))


def part(settings: Settings, script: str = "exec sleep 600") -> Part:
    """A part that anybody can run: healthy once it has written `ready`."""
    log = settings.home / "part.log"

    def probe(_: object) -> str | None:
        return None if "ready" in log.read_text() else "not ready yet"

    return Part(
        name="part",
        command=("sh", "-c", f"echo started; {script}"),
        environment={"MILLPOND_DATA_DIR": "/data"},
        address="nowhere",
        probe=probe,
        log=log,
    )


def bring_up(settings: Settings, wanted: Part) -> list[str]:
    said: list[str] = []
    platform._bring_up(settings, wanted, said.append, threading.Event())
    return said


READY = "echo ready; exec sleep 600"


def test_a_part_is_started_once(settings: Settings) -> None:
    assert [line.partition(" (")[0] for line in bring_up(settings, part(settings, READY))] == [
        "starting part",
        "part is ready at nowhere",
    ]
    running = processes.main_processes(settings.home)
    assert bring_up(settings, part(settings, READY)) == []
    assert processes.main_processes(settings.home) == running


def test_a_home_that_cannot_be_made_is_named() -> None:
    with pytest.raises(MillpondError) as raised:
        platform.up(Settings.from_env({"MILLPOND_HOME": "/dev/null/home"}), print)
    assert str(raised.value) == (
        "MILLPOND_HOME is /dev/null/home, which cannot be made (Not a directory); set it to a "
        "folder that you may write to"
    )


def test_a_part_that_dies_fails_at_once_with_its_last_lines(settings: Settings) -> None:
    dying = part(settings, "echo BindException; exit 1")
    with pytest.raises(
        MillpondError, match=r"(?s)part ended while starting; its log .*BindException"
    ):
        bring_up(settings, dying)


def test_a_part_that_does_not_become_healthy_says_why(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "HEALTHY_SECONDS", 0)
    with pytest.raises(MillpondError, match=r"is not healthy after 0 s: not ready yet; its log"):
        bring_up(settings, part(settings))


def test_waiting_ends_when_the_rest_has_failed(settings: Settings) -> None:
    given_up = threading.Event()
    given_up.set()
    with pytest.raises(MillpondError, match="still starting"):
        platform._bring_up(settings, part(settings), lambda _: None, given_up)


def test_a_killed_part_is_started_again_without_its_orphans(settings: Settings) -> None:
    with_child = part(settings, "sleep 600 & echo ready; wait")
    bring_up(settings, with_child)
    process = processes.main_processes(settings.home)["part"]
    (child,) = process.children()
    process.kill()
    bring_up(settings, with_child)
    assert not processes.is_alive(child)
    assert processes.main_processes(settings.home)["part"] != process


def test_a_part_with_another_setting_is_restarted(settings: Settings) -> None:
    bring_up(settings, part(settings, READY))
    before = processes.main_processes(settings.home)["part"]
    changed = replace(part(settings, READY), environment={"MILLPOND_DATA_DIR": "/new"})
    assert "restarting part: MILLPOND_DATA_DIR was /data and is /new" in bring_up(settings, changed)
    assert processes.main_processes(settings.home)["part"] != before


def test_a_part_is_started_after_steps_that_exist(settings: Settings) -> None:
    steps = platform._start_steps(settings, lambda _: None, threading.Event())
    names = {step.name for step in steps}
    assert {name for step in steps for name in step.after} <= names
    assert {each.name for each in parts(settings)} <= names


def test_a_part_stops_after_all_that_use_it(settings: Settings) -> None:
    after = {step.name: step.after for step in platform._stop_steps(settings, lambda _: None)}
    assert set(after) == {each.name for each in parts(settings)}
    # Tasks tell the API server how they ended, and applications write to HDFS until they end.
    assert "airflow-scheduler" in after["airflow-api-server"]
    assert "airflow-scheduler" in after["nodemanager"]
    assert "nodemanager" in after["datanode"]
    assert "datanode" in after["namenode"]
    assert "airflow-api-server" in after["postgres"]


def test_two_do_not_start_on_the_same_ports_at_once(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = replace(settings, home=tmp_path_factory.mktemp("other"))
    started: list[Settings] = []

    def start(settings: Settings, *_: object) -> list[Step]:
        started.append(settings)
        if len(started) == 1:
            with pytest.raises(MillpondError, match=r"just being started on the ports 23000 to 23"):
                platform.up(other, print)
        return [Step("nothing", (), lambda: None)]

    monkeypatch.setattr(jars, "ensure", lambda _: None)
    monkeypatch.setattr(platform, "_start_steps", start)
    platform.up(settings, print)
    platform.up(other, print)
    assert [each.home for each in started] == [settings.home, other.home]


def test_one_command_at_a_time(settings: Settings) -> None:
    holding = (
        "import sys; from pathlib import Path; from millpond.cluster import platform\n"
        "with platform._turn(Path(sys.argv[1]), 'up', print):\n"
        "    print('mine', flush=True); sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", holding, settings.home],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mine\n"
        said: list[str] = []

        def let_go(text: str) -> None:
            said.append(text)
            assert holder.stdin is not None
            holder.stdin.close()

        with platform._turn(settings.home, "down", let_go):
            assert said == [f"waiting for `millpond up` (process {holder.pid}) to finish"]


def test_down_finds_what_a_deleted_home_left_running(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    process = processes.start("namenode", home, ["sleep", "600"], {}, tmp_path / "log")
    while not processes.main_processes(home):
        time.sleep(0.01)
    home.rmdir()
    settings = Settings.from_env({"MILLPOND_HOME": str(home), "MILLPOND_PORT_BASE": "23000"})
    platform.down(settings, lambda _: None)
    assert not processes.is_alive(process)


def test_status_of_what_never_ran(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLPOND_HOME", str(settings.home))
    result = CliRunner().invoke(app, ["status", "--format", "json"])
    assert result.exit_code == 1
    states = json.loads(result.stdout)
    assert [state["name"] for state in states] == [each.name for each in parts(settings)]
    assert {state["state"] for state in states} == {"stopped"}


def test_a_socket_path_that_is_too_long_says_by_how_much() -> None:
    # 107 bytes are allowed, and "/postgres-socket/.s.PGSQL.5432" takes 30 of them.
    fits = Settings.from_env({"MILLPOND_HOME": "/" + "h" * (107 - 30 - 1)})
    postgres.require_short_socket_path(fits)
    too_long = Settings.from_env({"MILLPOND_HOME": "/" + "h" * (107 - 30 - 1 + 12)})
    with pytest.raises(MillpondError, match="at least 12 shorter"):
        postgres.require_short_socket_path(too_long)


def test_postgres_listens_on_its_socket_alone_and_loses_nothing(settings: Settings) -> None:
    command = postgres.server_command(settings)
    assert "listen_addresses=" in command
    assert not [argument for argument in command if "fsync" in argument]


METRICS = {
    "totalMB": 10240,
    "availableMB": 10240,
    "totalVirtualCores": 8,
    "availableVirtualCores": 8,
    "activeNodes": 1,
}


def test_an_idle_yarn_has_room() -> None:
    assert doctor.room_on_yarn(METRICS, []).ok


def test_a_busy_yarn_says_what_was_asked_what_there_is_and_who_has_it() -> None:
    check = doctor.room_on_yarn({**METRICS, "availableMB": 2000}, ["application_1_0001"])
    assert not check.ok
    assert "asks for 2816 MB" in check.found  # driver and executor: 2 * (1024 + 384)
    assert "10240 MB" in check.found
    assert "2000 MB" in check.found
    assert "application_1_0001" in check.remedy


def test_a_yarn_without_a_node_points_to_the_nodemanager() -> None:
    check = doctor.room_on_yarn({**METRICS, "totalMB": 0, "availableMB": 0}, [])
    assert not check.ok
    assert "nodemanager" in check.remedy


def test_doctor_goes_on_where_nothing_runs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise requests.ConnectionError

    monkeypatch.setattr(health, "fetch_json", refuse)
    monkeypatch.setenv("MILLPOND_HOME", str(settings.home))
    monkeypatch.setenv("MILLPOND_DATA_DIR", str(settings.home))
    result = CliRunner().invoke(app, ["doctor", "--format", "json"])
    assert result.exit_code == 1
    checks = {check["name"]: check for check in json.loads(result.stdout)}
    assert checks["python"]["ok"]
    assert checks["source data"]["ok"]
    for stopped in parts(settings):
        assert checks[stopped.name]["found"] == "stopped"
        assert checks[stopped.name]["remedy"] == "`millpond up` starts it"


def test_doctors_table_shows_a_remedy_for_what_failed_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = [
        doctor.Check("java", ok=True, found="Java 17", remedy="install it"),
        doctor.Check("maven", ok=False, found="no mvn", remedy="sudo apt-get install maven"),
    ]
    monkeypatch.setattr(commands, "examine", lambda _: checks)
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    _, java, maven = (re.split(r"  +", line.strip()) for line in result.stdout.splitlines())
    assert java == ["java", "ok", "Java 17"]
    assert maven == ["maven", "FAILED", "no mvn", "sudo apt-get install maven"]


def test_doctor_names_a_missing_data_folder(tmp_path: Path) -> None:
    missing = tmp_path / "none"
    settings = Settings.from_env(
        {"MILLPOND_HOME": str(tmp_path), "MILLPOND_DATA_DIR": str(missing)}
    )
    check = doctor.source_data(settings)
    assert not check.ok
    assert check.found == str(missing)
    assert "MILLPOND_DATA_DIR" in check.remedy


def test_without_a_setting_the_first_hour_is_the_full_one_before_the_first_up_and_stays(
    settings: Settings,
) -> None:
    before = Hour.of(datetime.now(UTC) - timedelta(hours=1))
    first = platform._with_first_hour(settings).interactions_start
    assert first in (before, before.next)  # the hour may have turned meanwhile
    (settings.home / "interactions-start").write_text("2026-11-22T07")
    assert platform._with_first_hour(settings).interactions_start == Hour.parse("2026-11-22T07")
    told = replace(settings, interactions_start=Hour.parse("2026-01-01T00"))
    assert platform._with_first_hour(told) == told
