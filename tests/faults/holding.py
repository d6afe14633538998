"""A task of the real scheduler that a test holds, and what must be true of it whatever failed."""

import itertools
import random
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from threading import Event
from typing import Any, TypeVar
from urllib.parse import quote

import psutil
from sqlalchemy import create_engine, text

from millpond.catalog.analyses import RATING_HISTOGRAM
from millpond.cli.airflow_api import AirflowApi, Task
from millpond.cluster.config import postgres_socket_dir
from millpond.errors import MillpondError
from millpond.lake.receipts import Receipt, Receipts
from millpond.lake.tables import StoredTable
from millpond.yarn import Application, ResourceManager
from tests import waiting
from tests.integration.local_platform import Platform
from tests.integration.sharing import worker
from tests.integration.written import SECRET_FILES, logs_on_hdfs, places_of_secrets, written
from tests.waiting import HANGS_SECONDS

KILLED_SECONDS = 15
# No poll and no heartbeat is further apart: a fault comes at any moment between two of them.
MOMENT_SECONDS = 5.0
Found = TypeVar("Found")


def until(found: Callable[[], Found | None], seconds: float = HANGS_SECONDS) -> Found:
    """What a function finds, once it finds something; Airflow is not asked too often."""
    return waiting.until(found, seconds, pause=0.2)


@dataclass
class Held:
    """One run of a DAG of tests/faults/held, for a date of its own."""

    platform: Platform
    root: str
    ds: date
    dag_id: str
    draw: random.Random
    params: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        settings = self.platform.settings
        self.api = AirflowApi(settings, self.dag_id)
        self.yarn = ResourceManager.of(settings)
        self.table = StoredTable(RATING_HISTOGRAM.mart, settings.hdfs_url, self.root)
        self.receipts = Receipts(self.platform.hdfs, self.root, RATING_HISTOGRAM.name, self.ds)
        self.api.unpause()
        given = {"ds": str(self.ds), "root": self.root, **self.params}
        self.run_id = self.api.create_run_with(given)

    # What a test sees.

    @property
    def task(self) -> Task:
        [task] = [task for task in self.api.tasks(self.run_id) if task.name == "held"]
        return task

    def applications(self) -> list[Application]:
        """All that the run submitted, the oldest first; of them at most one lives."""
        return self.applications_of(self.yarn)

    def applications_of(self, yarn: ResourceManager) -> list[Application]:
        """The same, by a ResourceManager's session of one's own."""
        name = f"{self.dag_id}/held {self.ds} {self.run_id}"
        found = [app for app in yarn._list() if app.name == name]
        assert len([app for app in found if app.is_live]) <= 1
        return found

    def running(self, number: int = 1) -> Application:
        """The application of that number, once it runs, at a moment that the seed draws."""
        found = until(lambda: self._running(number))
        time.sleep(self.draw.uniform(0, MOMENT_SECONDS))
        return found

    def _running(self, number: int) -> Application | None:
        found = self.applications()
        assert len(found) <= number
        return found[-1] if len(found) == number and found[-1].state == "RUNNING" else None

    def reaches(self, state: str, attempt: int = 1) -> None:
        """Wait until the task's attempt is in a state."""
        until(lambda: (self.task.state, self.task.attempt) == (state, attempt))

    def succeeds(self) -> None:
        """Wait until an attempt succeeds; a run that fails is not waited for."""
        state = until(self._over)
        assert state == "success"

    def _over(self) -> str | None:
        state = self.api.state(self.run_id)
        return state if state in ("success", "failed") else None

    def fails(self) -> None:
        """Wait until the first attempt has failed; the next one may have begun by then."""
        until(lambda: self.task.state == "up_for_retry" or self.task.attempt > 1)

    def log(self, attempt: int) -> list[str]:
        """What an attempt has said so far."""
        return self.api.log(self.run_id, Task("held", "", attempt))

    def says(self, words: str, attempt: int | None = None) -> str:
        """The line of an attempt's log that has the words, once it is there; of the last's."""

        def line() -> str | None:
            lines = self.log(attempt or self.task.attempt)
            return next((line for line in lines if words in line), None)

        return until(line)

    def links(self) -> dict[str, str]:
        """Where the task's page leads to, by name, once all its links lead anywhere."""
        at = f"dagRuns/{self.run_id}/taskInstances/held/links"

        def found() -> dict[str, str] | None:
            links: dict[str, str] = self.api._dag("GET", at)["extra_links"]
            return links if all(links.values()) else None

        return until(found)

    def process(self) -> psutil.Process:
        """The task's own process."""
        return self._titled(f"airflow worker -- {self._attempt_id()}")

    def supervisor(self) -> psutil.Process:
        """The process that watches over it, and speaks with Airflow for it."""
        return self._titled(f"airflow worker -- LocalExecutor: {self._attempt_id()}")

    def client(self) -> psutil.Process:
        """The JVM that submits for the task, once it runs."""
        task = self.process()
        return until(lambda: next(filter(_submits, task.children(recursive=True)), None))

    def _attempt_id(self) -> str:
        return str(self._instance()["id"])

    def _instance(self) -> dict[str, Any]:
        """The last attempt, as Airflow has it."""
        found: dict[str, Any] = self.api._dag("GET", f"dagRuns/{self.run_id}/taskInstances/held")
        return found

    def _titled(self, title: str) -> psutil.Process:
        def find() -> psutil.Process | None:
            named = (p for p in self.platform.processes() if _title(p) == title)
            return next(named, None)

        return until(find)

    # What a test does.

    def release(self, ratings: int | str) -> None:
        """Let the application publish; of what is no number it dies."""
        self.platform.hdfs.replace(f"{self.root}/held/{self.ds}", str(ratings).encode())

    def mark(self, state: str) -> None:
        """Mark the task, as its page does."""
        at = f"dagRuns/{self.run_id}/taskInstances/held"
        self.api._dag("PATCH", at, json={"new_state": state})

    def mark_run(self, state: str) -> None:
        """Mark the run, as its page does."""
        self.api._dag("PATCH", f"dagRuns/{self.run_id}", json={"state": state})

    def clear(self, task: str = "held") -> None:
        """Clear the task, or another of its run, whatever its state."""
        asked = {"dag_run_id": self.run_id, "task_ids": [task], "only_failed": False}
        self.api._dag("POST", "clearTaskInstances", json={**asked, "dry_run": False})

    def clear_run(self) -> None:
        """Clear the whole run, as its page does."""
        self.api.clear(self.run_id)

    def let_time_run_out(self) -> None:
        """End the attempt's time, by the signal by which Airflow ends it."""
        self.process().send_signal(signal.SIGALRM)

    def let_runs_time_run_out(self) -> None:
        """Let the scheduler believe that the run began as long ago as its DAG gives it."""
        self._age("dag_run SET start_date", f"run_id = '{self.run_id}'")

    def hand_over(self, application: Application) -> None:
        """Kill the task's process, and see the next attempt adopt what it leaves."""
        self.process().kill()
        self.reaches("running", attempt=2)
        self.says(f"adopting {application.id}")

    def age_heartbeat(self) -> None:
        """Let the scheduler believe that it has not heard of the attempt for an hour.

        It would believe so 5 minutes after the supervisor's death.
        """
        self._age("task_instance SET last_heartbeat_at", f"id = '{self._attempt_id()}'")

    def age_schedulers(self) -> None:
        """Let a scheduler that starts believe that it has not heard of the others for an hour.

        It would look for what they left 5 minutes later.
        """
        self._age("job SET latest_heartbeat", "job_type = 'SchedulerJob' AND state = 'running'")

    def _age(self, what: str, which: str) -> None:
        socket = quote(str(postgres_socket_dir(self.platform.settings)))
        engine = create_engine(f"postgresql+psycopg2://airflow@/airflow?host={socket}")
        with engine.begin() as database:
            aged = f"UPDATE {what} = now() - interval '1 hour' WHERE {which}"
            assert database.execute(text(aged)).rowcount > 0
        engine.dispose()

    # What must hold at the end.

    def shows(self, ratings: int) -> None:
        """The table has that number of every value, each once."""
        assert self.table.read(self.ds).to_pylist() == [
            {"rating": halves / 2, "ratings": ratings, "ds": self.ds} for halves in range(1, 11)
        ]

    def part(self) -> list[int]:
        """What a reader finds if it is neither nothing nor one whole publication."""
        found: list[int] = self.table.read(self.ds).column("ratings").to_pylist()
        return [] if not found or found == found[:1] * 10 else found

    def is_killed(self, id_: str, since: float) -> None:
        """Killed on YARN within the time that is promised, from a moment on."""
        killed = until(lambda: self.ended(id_), since + KILLED_SECONDS - time.time())
        assert killed.state == "KILLED"
        assert 0 <= killed.finished / 1000 - since < KILLED_SECONDS

    def ended(self, id_: str) -> Application | None:
        """An application that has ended; None as long as it lives."""
        found = self.yarn.application(id_)
        return None if found is None or found.is_live else found

    def published(self, ratings: int) -> Receipt:
        """The table has the value, by the only publication of the date; nothing lives any more."""
        self.shows(ratings)
        hashes = [commit.get("userMetadata") for commit in self.table.open().history()]
        commits = [each for each in hashes if each and self.receipts.published_as(each)]
        assert len(commits) == 1
        assert self.live() == []
        receipt = self.receipts.read(self.table.number(self.ds))
        assert receipt is not None
        return receipt

    def is_over(self) -> bool:
        """Whether nothing will come of the run any more."""
        return self.api.state(self.run_id) not in ("queued", "running")

    def live(self) -> list[str]:
        """The ids of what lives; nothing may, once the run is over."""
        return [app.id for app in self.applications() if app.is_live]

    def end(self) -> None:
        """Leave nothing behind, whatever the test found."""
        if not self.is_over():
            self.mark_run("failed")
        self.yarn.end(self.live(), 30)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""


def _submits(process: psutil.Process) -> bool:
    title = _title(process)
    try:
        # Before, there is a shell of that name, and a JVM that makes the command.
        is_started = process.name() == "java" and process.num_threads() > 1
    except psutil.Error:
        return False
    return is_started and "deploy.SparkSubmit" in title and "launcher.Main" not in title


class Hold:
    """Starts runs that a test holds, all in one table of this session's own."""

    def __init__(self, platform: Platform) -> None:
        self.held: list[Held] = []
        self.draw = random.Random()
        self._platform = platform
        self._applications: list[str] = []
        self._root = f"/faults/{uuid.uuid4().hex[:12]}"
        # Another worker's run of a date would be taken for a rival of ours.
        first = date(2020 - 10 * worker(), 1, 1)
        self._days = (first + timedelta(n) for n in itertools.count())
        StoredTable(RATING_HISTOGRAM.mart, platform.settings.hdfs_url, self._root).create()

    def __call__(self, dag_id: str = "held", **params: Any) -> Held:
        held = Held(self._platform, self._root, next(self._days), dag_id, self.draw, params)
        self.held.append(held)
        return held

    def end(self) -> None:
        """End what a test started."""
        while self.held:
            held = self.held.pop()
            self._applications += [app.id for app in held.applications()]
            held.end()

    def unwanted(self) -> list[str]:
        """What lives although its run is over."""
        return [id_ for held in self.held if held.is_over() for id_ in held.live()]

    def kept_secrets(self) -> None:
        """Of all that the tests had written, no file of another's holds a secret of Airflow's."""
        here = self._platform.settings
        own = replace(self._platform, settings=replace(here, root=self._root))
        # YARN takes an application's logs to HDFS some seconds after its end.
        until(lambda: logs_on_hdfs(own, self._applications))
        places = dict(written(own, self._applications))
        assert any(place.startswith("hdfs:/yarn-logs/") for place in places)
        assert places_of_secrets(own, places) == list(SECRET_FILES)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """A reader polls all that is held; at no moment may it see a part, or two that live."""
        finished, parts = Event(), list[list[int]]()
        yarn = ResourceManager(self._platform.settings.yarn_url)

        def poll() -> None:
            while not finished.wait(0.5):
                for held in list(self.held):
                    with suppress(MillpondError):  # HDFS may be what the test ends
                        parts.extend(filter(None, [held.part()]))
                    with suppress(MillpondError):  # or YARN
                        held.applications_of(yarn)

        with ThreadPoolExecutor(1) as reader:
            polling = reader.submit(poll)
            try:
                yield
            finally:
                finished.set()
            polling.result()
        assert parts == []
