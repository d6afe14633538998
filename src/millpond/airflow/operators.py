"""YarnSparkOperator: one Spark application on YARN per generation of a task.

The upstream operator builds the command and knows the connection; how an application is found,
followed, judged and ended is done here, because a task that is cleared must run again, a task whose
worker died must not run twice, and success means that a receipt exists (docs/explanation).
"""

import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout
from airflow.sdk.execution_time.context import NEVER_EXPIRE

from millpond.airflow.dates import run_date
from millpond.airflow.generations import (
    Attempt,
    Generation,
    generation_of,
    generation_tag,
    target_tag,
)
from millpond.airflow.links import HistoryLink, YarnLink
from millpond.airflow.selection import skip_unless_wanted
from millpond.catalog.settings import Settings
from millpond.catalog.tables import Table
from millpond.errors import BadInputError, CheckFailedError, MillpondError, SupersededError
from millpond.lake.hdfs import Hdfs
from millpond.lake.receipts import Receipt, Receipts
from millpond.lake.tables import StoredTable
from millpond.run import Run
from millpond.yarn import Application, ResourceManager

STATE_KEY = "millpond_generation"
POLL_SECONDS = 2.0
# Airflow ends a task 5 s after it has called on_kill.
KILL_SECONDS = 4.0
# How long a ResourceManager may be away (a restart takes about 20 s) before the attempt gives up.
SILENCE_SECONDS = 120.0
SUBMIT_LINES = 30
# Running again would end alike: the data, the code or another attempt must change first.
FINAL_EXIT_CODES = (BadInputError.exit_code, CheckFailedError.exit_code, SupersededError.exit_code)


class YarnSparkOperator(SparkSubmitOperator):
    """Submit `application` for the run's date and wait for the receipt of `table`.

    `arguments` come before the run's own (docs/reference). `analyses` are those that need this
    task: it skips itself in a run that was asked for others.
    """

    operator_extra_links = (YarnLink(), HistoryLink())

    def __init__(
        self,
        *,
        table: Table,
        application: str,
        analyses: Sequence[str],
        arguments: Sequence[str] = (),
        conf: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        # durable: the provider's own way to find an application again never reruns a cleared task.
        super().__init__(application=application, conf=conf, durable=False, **kwargs)
        self.table = table
        self.analyses = analyses
        self.arguments = arguments
        self.application_id: str | None = None
        self._stopped = threading.Event()

    def execute(self, context: Any) -> None:
        """Find or submit the generation's application, follow it, and judge it by its receipt."""
        skip_unless_wanted(context, self.analyses)
        try:
            self._execute(context)
        except AirflowTaskTimeout:
            self._kill_and_confirm()
            raise
        except (BadInputError, CheckFailedError, SupersededError) as error:
            raise AirflowFailException(str(error)) from None
        except MillpondError as error:
            raise AirflowException(str(error)) from None

    def _execute(self, context: Any) -> None:
        began = time.time()
        settings = Settings.from_env(os.environ)
        ds = run_date(context)
        generation = self._enter_generation(context)
        run = Run(ds, generation.id, context["ti"].try_number, context["run_id"], settings.root)
        outcome = Outcome(settings, self.table, run)
        receipt = outcome.receipt()
        if receipt is None:
            application = self._find_or_submit(settings, generation, run, context)
            application = self._follow(settings, application)
            receipt = outcome.judge(application)
            self._report_times(began, application, receipt)
        else:
            self.log.info("%s published already: nothing to do", receipt.application_id)
        self._finish(context, generation, receipt)

    def _enter_generation(self, context: Any) -> Generation:
        """The generation this attempt belongs to, recorded before anything else happens."""
        ti, store = context["ti"], context["task_state_store"]
        recorded = store.get(STATE_KEY)
        attempt = Attempt(str(ti.id), ti.max_tries, context["dag_run"].clear_number or 0)
        generation, why = generation_of(attempt, Generation(**recorded) if recorded else None)
        self.log.info("generation %s, try %d: %s", generation.id, ti.try_number, why)
        store.set(STATE_KEY, asdict(generation), retention=NEVER_EXPIRE)
        return generation

    def _find_or_submit(
        self, settings: Settings, generation: Generation, run: Run, context: Any
    ) -> Application:
        yarn = ResourceManager(settings.yarn_url)
        ours = generation_tag(settings.deployment, generation)
        target = target_tag(settings.deployment, self.dag_id, self.task_id, run.ds)
        known = yarn.tagged(target)
        adopted = [app for app in known if app.is_live and ours in app.tags]
        for other in (app for app in known if app.is_live and ours not in app.tags):
            self.log.info("ending %s, which an earlier generation submitted", other.id)
            _end(yarn, other.id)
        if adopted:
            self.log.info("adopting %s, which an earlier try submitted", adopted[0].id)
            return self._settle_on_one(yarn, adopted, context)
        Receipts(Hdfs(settings.hdfs_url), settings.root, self.table.name, run.ds).claim(run.name)
        self._submit(yarn, run, (ours, target))
        before = {app.id for app in known}
        submitted = [app for app in yarn.tagged(ours) if app.id not in before]
        if not submitted:
            raise MillpondError(
                "spark-submit ended well and the ResourceManager knows no application with tag "
                f"{ours}; look at the lines above"
            )
        return self._settle_on_one(yarn, submitted, context)

    def _settle_on_one(
        self, yarn: ResourceManager, applications: Sequence[Application], context: Any
    ) -> Application:
        """The oldest stays; a younger one was submitted by a try that did not see it yet."""
        first, *others = applications
        for other in (app for app in others if app.is_live):
            self.log.info("ending %s: %s came first", other.id, first.id)
            _end(yarn, other.id)
        self.application_id = first.id
        settings = Settings.from_env(os.environ)
        for link in self.operator_extra_links:
            url = link.url(settings, first.id)
            context["ti"].xcom_push(key=link.xcom_key, value=url)
            self.log.info("%s: %s", link.name, url)
        return first

    def command(self, run: Run, tags: Sequence[str]) -> list[str]:
        """The spark-submit command of a run."""
        self.conf = {
            **(self.conf or {}),
            "spark.yarn.tags": ",".join(tags),
            # A second driver would publish beside the next try of this task.
            "spark.yarn.maxAppAttempts": "1",
            "spark.yarn.submit.waitAppCompletion": "false",
        }
        self.application_args = [*self.arguments, *run.arguments()]
        self.name = f"{self.task_id} {run.ds}"
        return list(self._get_hook()._build_spark_submit_command(self.application))  # noqa: SLF001  pinned and contract-tested

    def _submit(self, yarn: ResourceManager, run: Run, tags: Sequence[str]) -> None:
        # A client that outlived its task would submit what nobody waits for.
        dies_with_us = ["setpriv", "--pdeathsig", "KILL"]
        self.log.info("::group::spark-submit")
        with subprocess.Popen(
            [*dies_with_us, *self.command(run, tags)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as client:
            assert client.stdout is not None
            lines = deque(maxlen=SUBMIT_LINES)  # type: deque[str]
            for line in client.stdout:
                self.log.info("%s", line.rstrip())
                lines.append(line.rstrip())
        self.log.info("::endgroup::")
        if client.returncode != 0:
            raise MillpondError(
                f"spark-submit ended with {client.returncode}: {_first_trouble(lines)}; "
                f"on the cluster {yarn.room()}"
            )

    def _follow(self, settings: Settings, application: Application) -> Application:
        """Wait until the application has ended; what the log shows is changes of state."""
        yarn = ResourceManager(settings.yarn_url)
        shown, heard = "", time.monotonic()
        while application.is_live:
            if application.state != shown:
                room = f"; {yarn.room()}" if application.state == "ACCEPTED" else ""
                self.log.info("%s is %s%s", application.id, application.state, room)
                shown = application.state
            if self._stopped.wait(POLL_SECONDS):
                raise AirflowException(f"{application.id} was ended with this task")
            try:
                found = yarn.application(application.id)
            except MillpondError as error:
                if time.monotonic() - heard > SILENCE_SECONDS:
                    raise
                self.log.warning("%s; asking again", error)
                continue
            heard = time.monotonic()
            if found is None:
                self.log.warning("YARN has forgotten %s: its receipt decides", application.id)
                return application
            application = found
        self.log.info("%s is %s, %s", application.id, application.state, application.final_status)
        return application

    def _report_times(self, began: float, application: Application, receipt: Receipt) -> None:
        """One line with the seconds of each phase, from the task's start to this moment."""
        published = sum(receipt.seconds.values())
        running = (application.finished - application.launched) / 1000
        self.log.info(
            "seconds: submit %.1f, wait %.1f, session %.1f, compute %.1f, publish %.1f, "
            "notice %.1f",
            application.started / 1000 - began,
            (application.launched - application.started) / 1000,
            receipt.seconds.get("session", 0.0),
            published - receipt.seconds.get("session", 0.0),
            running - published,
            time.time() - application.finished / 1000,
        )

    def _finish(self, context: Any, generation: Generation, receipt: Receipt) -> None:
        self.log.info(
            "%s %s %s as number %d: rows %s",
            receipt.outcome,
            receipt.table,
            receipt.ds,
            receipt.number,
            receipt.rows,
        )
        for asset in self.outlets:
            context["outlet_events"][asset].extra = asdict(receipt)
        done = Generation(generation.id, generation.max_tries, generation.clear_number, done=True)
        context["task_state_store"].set(STATE_KEY, asdict(done), retention=NEVER_EXPIRE)

    def on_kill(self) -> None:
        """End the application with the task; leave it when only the worker is shut down."""
        if self.application_id is None or self._is_wanted_still():
            return
        self._kill_and_confirm()
        self._stopped.set()

    def _is_wanted_still(self) -> bool:
        """Whether Airflow still calls this task running: a retry will adopt the application."""
        ti = get_current_context()["ti"]
        states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id])
        return bool(states[ti.run_id][ti.task_id] == "running")

    def _kill_and_confirm(self) -> None:
        if self.application_id is None:
            return
        yarn = ResourceManager(Settings.from_env(os.environ).yarn_url)
        try:
            _end(yarn, self.application_id)
            self.log.info("ended %s with this task", self.application_id)
        except MillpondError as error:
            self.log.error("%s", error)  # noqa: TRY400  a sentence


class Outcome:
    """How a run of a table ended, as far as HDFS tells."""

    def __init__(self, settings: Settings, table: Table, run: Run) -> None:
        self._stored = StoredTable(table, settings.hdfs_url, settings.root)
        self._receipts = Receipts(Hdfs(settings.hdfs_url), settings.root, table.name, run.ds)
        self._run = run

    def receipt(self) -> Receipt | None:
        """The current receipt, if it is of this run's generation."""
        receipt = self._receipts.read(self._stored.number(self._run.ds))
        return receipt if receipt and receipt.generation == self._run.generation else None

    def judge(self, application: Application) -> Receipt:
        """The receipt the application left.

        Raises:
            BadInputError, CheckFailedError, SupersededError: As the application reported.
            MillpondError: It ended without a receipt for another cause.
        """
        if receipt := self.receipt():
            return receipt
        report = self._receipts.failure(self._run.generation, str(self._run.attempt)) or {}
        if kind := _kind(report.get("exit_code")):
            raise kind(report["cause"])
        cause = report.get("cause") or application.diagnostics.strip() or "it left no cause"
        raise MillpondError(
            f"{application.id} ended {application.state}, {application.final_status} without a "
            f"receipt: {cause}"
        )


def _kind(exit_code: int | None) -> type[MillpondError] | None:
    kinds = (BadInputError, CheckFailedError, SupersededError)
    return next((kind for kind in kinds if kind.exit_code == exit_code), None)


def _end(yarn: ResourceManager, id_: str) -> None:
    """Kill an application and see it dead.

    Raises:
        MillpondError: It still lives after KILL_SECONDS.
    """
    yarn.kill(id_)
    deadline = time.monotonic() + KILL_SECONDS
    while (application := yarn.application(id_)) is not None and application.is_live:
        if time.monotonic() > deadline:
            raise MillpondError(
                f"{id_} was told to end and is still {application.state} after "
                f"{KILL_SECONDS:.0f} s; look at its page at the ResourceManager"
            )
        time.sleep(0.2)


def _first_trouble(lines: Sequence[str]) -> str:
    """The line of spark-submit's output that says why."""
    telling = [line for line in lines if "Exception" in line or "Error" in line]
    return (telling or list(lines) or ["it printed nothing"])[0].strip()
