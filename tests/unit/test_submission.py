"""spark-submit as a child of a task."""

import logging
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from millpond.airflow.submission import SubmitClient, complaint, refuse_secrets, size_options
from millpond.catalog.sizes import Size
from millpond.cluster import processes
from millpond.errors import MillpondError
from tests.waiting import until


def test_what_the_client_says_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    SubmitClient().run(["sh", "-c", "echo one; echo two >&2"])
    assert caplog.messages == ["::group::spark-submit", "one", "two", "::endgroup::"]


def test_a_failed_client_is_one_sentence() -> None:
    script = "echo WARN a; echo 'Error: no such file'; echo '  at x'; exit 3"
    with pytest.raises(MillpondError) as raised:
        SubmitClient().run(["sh", "-c", script])
    assert str(raised.value) == "spark-submit ended with 3: Error: no such file"


TOO_LARGE = (
    "java.lang.IllegalArgumentException: Required AM memory (61440+384 MB) is above the max "
    "threshold (10240 MB) of this cluster!"
)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "it said nothing"),
        (["starting", "stopping"], "stopping"),
        (["WARN java.net.ConnectException", "Error: no such file"], "Error: no such file"),
        (["Errors: 0", f'Exception in thread "main" {TOO_LARGE}', "at Client.scala"], TOO_LARGE),
    ],
)
def test_the_complaint_is_the_exception_that_ended_it(lines: list[str], said: str) -> None:
    assert complaint(lines) == said


TASK = """
import sys
from millpond.airflow.submission import SubmitClient
SubmitClient().run(["sh", "-c", f"echo $$ > {sys.argv[1]}; exec sleep 600"])
"""


def test_the_client_dies_with_its_task(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    task = subprocess.Popen([sys.executable, "-c", TASK, pid_file])

    until(lambda: pid_file.exists() and pid_file.read_text().strip())
    client = psutil.Process(int(pid_file.read_text()))
    task.kill()
    task.wait()
    # Nobody may be there to take note of its end.
    until(lambda: not processes.is_alive(client))


@pytest.mark.parametrize(
    "name", ["spark.ssl.keyPassword", "API_TOKEN", "fs.s3a.access.key", "CLIENT_SECRET"]
)
def test_a_secret_is_not_put_on_the_command_line(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} would be on the command line .*0600"):
        refuse_secrets(["spark.sql.shuffle.partitions", name])


def test_what_is_no_secret_is_taken() -> None:
    refuse_secrets(["spark.sql.shuffle.partitions", "MILLPOND_ROOT"])


def test_a_size_is_what_spark_is_asked_for() -> None:
    assert size_options(Size(2048, 4096, executors=3, cores=2, queue="night")) == {
        "driver_memory": "2048m",
        "executor_memory": "4096m",
        "num_executors": 3,
        "executor_cores": 2,
        "yarn_queue": "night",
    }
