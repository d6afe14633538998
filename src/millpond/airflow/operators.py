"""YarnSparkOperator: one Spark application on YARN per generation of a task.

The upstream operator builds the command and knows the connection; how an application is found,
followed, judged and ended is done here, because a task that is cleared must run again, a task whose
worker died must not run twice, and success means that a receipt exists (docs/explanation).
"""

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import get_current_context
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowRuntimeError,
    AirflowTaskTimeout,
)
from airflow.sdk.execution_time.context import NEVER_EXPIRE

from millpond.airflow.dates import run_partition
from millpond.airflow.following import follow
from millpond.airflow.generations import (
    Attempt,
    Choice,
    Generation,
    choose,
    generation_of,
    generation_tag,
    target_tag,
)
from millpond.airflow.links import HistoryLink, YarnLink
from millpond.airflow.outcomes import Outcome, phases
from millpond.airflow.selection import settings_of, skip_unless_wanted
from millpond.airflow.submission import SubmitClient
from millpond.catalog.analyses import Parameter
from millpond.catalog.partitions import Partition
from millpond.catalog.settings import Settings
from millpond.catalog.tables import Table
from millpond.errors import BadInputError, CheckFailedError, MillpondError, SupersededError
from millpond.lake.receipts import Receipt
from millpond.run import Run
from millpond.yarn import Application, ResourceManager

STATE_KEY = "millpond_generation"
# Airflow ends a task 5 s after it has called on_kill.
KILL_SECONDS = 3.5


class YarnSparkOperator(SparkSubmitOperator):
    """Submit `application` for the run's date or hour and wait for the receipt of `table`.

    `arguments` come before the run's own (docs/reference). `analyses` are those that need this
    task: it skips itself in a run that was asked for others. `parameters` are those of the
    application that can be set for a run.
    """

    operator_extra_links = (YarnLink(), HistoryLink())

    def __init__(
        self,
        *,
        table: Table,
        application: str,
        analyses: Sequence[str],
        arguments: Sequence[str] = (),
        parameters: Sequence[Parameter] = (),
        **kwargs: Any,
    ) -> None:
        # durable: the provider's own way to find an application again never reruns a cleared task.
        super().__init__(application=application, durable=False, **kwargs)
        self.table = table
        self.analyses = analyses
        self.arguments = arguments
        self.parameters = parameters
        self.application_id: str | None = None
        self._generation_tag: str | None = None
        self._client = SubmitClient()

    def execute(self, context: Any) -> None:
        """Find or submit the generation's application, follow it, and judge it by its receipt."""
        skip_unless_wanted(context, self.analyses)
        try:
            self._execute(context)
        except AirflowTaskTimeout:
            self._end_everything()
            raise
        except (BadInputError, CheckFailedError, SupersededError) as error:
            raise AirflowFailException(str(error)) from None
        except MillpondError as error:
            raise AirflowException(str(error)) from None

    def _execute(self, context: Any) -> None:
        began = time.time()
        settings = Settings.from_env(os.environ)
        partition = run_partition(context, self.table)
        generation = self._enter_generation(context, partition)
        run = Run(
            partition=partition,
            generation=generation.id,
            attempt=context["ti"].try_number,
            run_id=context["run_id"],
            root=settings.root,
            settings=settings_of(context, self.parameters),
        )
        tags = (
            generation_tag(settings.deployment, generation),
            target_tag(settings.deployment, self.dag_id, self.task_id, partition),
        )
        yarn, outcome = ResourceManager(settings.yarn_url), Outcome(settings, self.table, run)
        choice = choose(yarn.tagged(tags[1]), tags[0])
        receipt = None if choice.follow else outcome.receipt()
        if receipt:
            self.log.info("%s has published already: nothing to do", receipt.application_id)
            self._show_links(settings, receipt.application_id, context)
        else:
            self._generation_tag = tags[0]
            application = self._adopt_or_submit(yarn, choice, run, tags, outcome)
            self._show_links(settings, application.id, context)
            application = follow(yarn, application)
            receipt = outcome.judge(application)
            self._report_phases(began, application, receipt)
        self._finish(context, generation, receipt, outcome)

    def _enter_generation(self, context: Any, partition: Partition) -> Generation:
        """The generation this attempt belongs to, recorded before anything else happens."""
        ti = context["ti"]
        recorded = context["task_state_store"].get(STATE_KEY)
        attempt = Attempt(str(ti.id), ti.max_tries, context["dag_run"].clear_number or 0)
        generation, why = generation_of(attempt, Generation(**recorded) if recorded else None)
        what = (generation.id, partition, ti.try_number, why)
        self.log.info("generation %s of %s, try %d: %s", *what)
        self._record(context, generation)
        return generation

    def _record(self, context: Any, generation: Generation) -> None:
        context["task_state_store"].set(STATE_KEY, asdict(generation), retention=NEVER_EXPIRE)

    def _adopt_or_submit(
        self,
        yarn: ResourceManager,
        choice: Choice,
        run: Run,
        tags: Sequence[str],
        outcome: Outcome,
    ) -> Application:
        self._end(yarn, choice.end, "another generation of this task takes over")
        if choice.follow is not None:
            self.log.info("adopting %s, which an earlier try submitted", choice.follow.id)
            return choice.follow
        outcome.claim()
        return self._submit(yarn, run, tags)

    def _submit(self, yarn: ResourceManager, run: Run, tags: Sequence[str]) -> Application:
        before = {app.id for app in yarn.tagged(tags[0])}
        try:
            self._client.run(self.command(run, tags))
        except MillpondError as error:
            raise MillpondError(f"{error}; the cluster: {yarn.room()}") from None
        submitted = [app for app in yarn.tagged(tags[0]) if app.id not in before]
        if not submitted:
            raise MillpondError(
                "spark-submit ended well and the ResourceManager knows no application with tag "
                f"{tags[0]}; look at what it said above"
            )
        choice = choose(submitted, tags[0])
        self._end(yarn, choice.end, "an earlier one of the same generation stays")
        return choice.follow or submitted[0]  # the first may have ended by now

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
        self.name = f"{self.task_id} {run.partition}"
        return list(self._get_hook()._build_spark_submit_command(self.application))  # noqa: SLF001  pinned and contract-tested

    def _show_links(self, settings: Settings, application_id: str, context: Any) -> None:
        """Push the links now: Airflow itself does it only when the task ends."""
        self.application_id = application_id
        for link in self.operator_extra_links:
            url = link.url(settings, application_id)
            context["ti"].xcom_push(key=link.xcom_key, value=url)
            self.log.info("%s: %s", link.name, url)

    def _report_phases(self, began: float, application: Application, receipt: Receipt) -> None:
        # An application that YARN has forgotten has no times.
        if application.finished:
            seconds = phases(began, application, receipt, time.time())
            self.log.info(
                "seconds: %s", ", ".join(f"{phase} {value}" for phase, value in seconds.items())
            )

    def _finish(
        self, context: Any, generation: Generation, receipt: Receipt, outcome: Outcome
    ) -> None:
        rows = ", ".join(f"{count} {which}" for which, count in receipt.rows.items())
        self.log.info("%s %s %s: rows %s", receipt.outcome, receipt.table, receipt.ds, rows)
        for check in receipt.checks:
            if not check.passed:
                self.log.warning("%s", check)
        self.log.info("receipt: %s", outcome.path(receipt))
        outcome.export()
        for asset in self.outlets:
            context["outlet_events"][asset].extra = asdict(receipt)
        self._record(context, replace(generation, done=True))

    def on_kill(self) -> None:
        """End the application with the task; leave it when only the worker is shut down."""
        if self._generation_tag is None or self._is_wanted_still():
            return
        self._end_everything()
        # This runs in a signal handler: without an exception the task would go on.
        raise AirflowException("the task was ended from outside, and its application with it")

    def _is_wanted_still(self) -> bool:
        """Whether Airflow still calls this task running: a retry will adopt the application."""
        ti = get_current_context()["ti"]
        try:
            states = ti.get_task_states(
                dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id]
            )
        except AirflowRuntimeError:
            return False  # in doubt, killed means killed
        return bool(states[ti.run_id][ti.task_id] == "running")

    def _end_everything(self) -> None:
        """End the client that submits and whatever carries our generation's tag."""
        self._client.kill()
        if self._generation_tag is None:
            return
        yarn = ResourceManager(Settings.from_env(os.environ).yarn_url)
        try:
            live = [app for app in yarn.tagged(self._generation_tag) if app.is_live]
            self._end(yarn, live, "its task was ended")
        except MillpondError as error:
            self.log.error("%s", error)  # noqa: TRY400  a sentence

    def _end(self, yarn: ResourceManager, unwanted: Sequence[Application], why: str) -> None:
        for application in unwanted:
            self.log.info("ending %s: %s", application.id, why)
            yarn.kill(application.id)
        deadline = time.monotonic() + KILL_SECONDS
        for application in unwanted:
            _see_dead(yarn, application.id, deadline)


def _see_dead(yarn: ResourceManager, id_: str, deadline: float) -> None:
    """Wait until an application that was told to end has ended.

    Raises:
        MillpondError: It still lives at the deadline.
    """
    while (application := yarn.application(id_)) is not None and application.is_live:
        if time.monotonic() > deadline:
            raise MillpondError(
                f"{id_} was told to end and is still {application.state} after "
                f"{KILL_SECONDS} s; look at its page at the ResourceManager"
            )
        time.sleep(0.2)
