"""YarnSparkOperator: one Spark application on YARN per generation of a task.

The upstream operator builds the command and knows the connection; how an application is found,
followed, judged and ended is done here, because a task that is cleared must run again, a task whose
worker died must not run twice, and success means that a receipt exists (docs/explanation).
"""

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowTaskTimeout
from airflow.sdk.execution_time.context import NEVER_EXPIRE

from millpond.airflow.dates import run_partition
from millpond.airflow.driver_log import quote
from millpond.airflow.ending import end, end_generation, is_wanted_still
from millpond.airflow.failures import as_airflow_failure
from millpond.airflow.following import follow
from millpond.airflow.generations import (
    Attempt,
    Choice,
    Generation,
    attempt_tag,
    choose,
    generation_of,
    generation_tag,
    target_tag,
)
from millpond.airflow.links import HistoryLink, LogLink, YarnLink
from millpond.airflow.outcomes import Outcome, phases
from millpond.airflow.reaping import WISH_KEY, name_of
from millpond.airflow.selection import settings_of, skip_unless_wanted
from millpond.airflow.submission import SubmitClient, refuse_secrets
from millpond.catalog import zones
from millpond.catalog.analyses import Parameter
from millpond.catalog.partitions import Partition
from millpond.catalog.settings import Settings
from millpond.catalog.tables import Table
from millpond.crash import crash_point
from millpond.errors import MillpondError
from millpond.lake.receipts import Receipt
from millpond.patience import patiently
from millpond.run import Run
from millpond.yarn import Application, ResourceManager, forgotten

STATE_KEY = "millpond_generation"


class YarnSparkOperator(SparkSubmitOperator):
    """Submit `application` for the run's date or hour and wait for the receipt of `table`.

    `arguments` come before the run's own (docs/reference). `analyses` are those that need this
    task: it skips itself in a run that was asked for others. `parameters` are those of the
    application that can be set for a run. `env_vars` are given to the driver and the executors.
    """

    operator_extra_links = (YarnLink(), LogLink(), HistoryLink())
    template_fields = (
        *SparkSubmitOperator.template_fields,
        "_archives",
        "_yarn_queue",
        "_driver_memory",
        "_executor_memory",
        "_executor_cores",
        "_num_executors",
    )

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
        refuse_secrets({**(self.conf or {}), **(self.env_vars or {})})
        self.table = table
        self.analyses = analyses
        self.arguments = arguments
        self.parameters = parameters
        self.submitted: Application | None = None
        self._generation_tag: str | None = None
        self._is_over = False
        self._client = SubmitClient()

    def execute(self, context: Any) -> None:
        """Find or submit the generation's application, follow it, and judge it by its receipt."""
        skip_unless_wanted(context, self.analyses)
        supervisor = os.getppid()
        try:
            with as_airflow_failure():
                self._execute(context)
        except AirflowTaskTimeout:
            # Without its supervisor this process is an orphan, and the application the next try's.
            if os.getppid() == supervisor:
                self._end_everything()
            raise
        finally:
            # Airflow may still call on_kill while it reports how the task ended.
            self._is_over = True

    def _execute(self, context: Any) -> None:
        settings = Settings.from_env(os.environ)
        partition = run_partition(context, self.table)
        generation = self._enter_generation(context, partition)
        self._generation_tag = generation_tag(settings.deployment, generation)
        run = self._run(context, settings, partition, generation)
        outcome = Outcome(settings, self.table, run)
        receipt = self._find_or_compute(context, settings, run, outcome)
        self._finish(context, generation, receipt, outcome)

    def _find_or_compute(
        self, context: Any, settings: Settings, run: Run, outcome: Outcome
    ) -> Receipt:
        """The receipt of the run's generation: an earlier try's, or of what is computed now."""
        assert self._generation_tag is not None
        began, yarn = time.time(), ResourceManager.of(settings)
        target = target_tag(settings.deployment, self.dag_id, self.task_id, run.partition)
        choice = choose(yarn.tagged(target), self._generation_tag)
        show = partial(self._show, settings, context)
        if choice.follow is None and (receipt := outcome.receipt()):
            self.log.info("%s has published already: nothing to do", receipt.application_id)
            show(yarn.application(receipt.application_id) or forgotten(receipt.application_id))
            return receipt
        tags = (self._generation_tag, attempt_tag(self._generation_tag, run.attempt), target)
        application = self._adopt_or_submit(yarn, choice, run, tags, outcome)
        show(application)
        crash_point("id-stored")
        application = follow(yarn, application, show)
        crash_point("ended")
        receipt = self._judge(settings, outcome, application)
        self._report_phases(began, application, receipt)
        return receipt

    def _run(
        self, context: Any, settings: Settings, partition: Partition, generation: Generation
    ) -> Run:
        return Run(
            partition=partition,
            generation=generation.id,
            attempt=context["ti"].try_number,
            run_id=context["run_id"],
            root=settings.root,
            settings=settings_of(context, self.parameters),
        )

    def _enter_generation(self, context: Any, partition: Partition) -> Generation:
        """The generation this attempt belongs to, recorded before anything else happens."""
        ti = context["ti"]
        recorded = context["task_state_store"].get(STATE_KEY)
        attempt = Attempt(
            str(ti.id),
            ti.max_tries,
            context["dag_run"].clear_number or 0,
            anew=bool(context["params"].get("anew")),
        )
        generation, why = generation_of(attempt, Generation(**recorded) if recorded else None)
        what = (generation.id, partition, ti.try_number, why)
        self.log.info("generation %s of %s, try %d: %s", *what)
        self._record(context, generation)
        ti.xcom_push(key=WISH_KEY, value=generation.id)
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
        takes_over = "another generation of this task takes over"
        if choice.follow is not None:
            end(yarn, choice.end, takes_over)
            self.log.info("adopting %s, which an earlier try submitted", choice.follow.id)
            return choice.follow
        # First of all: whose application ends now shall know by whom, and not try again.
        outcome.claim()
        end(yarn, choice.end, takes_over)
        crash_point("about-to-submit")
        return self._submit(yarn, run, tags)

    def _submit(self, yarn: ResourceManager, run: Run, tags: Sequence[str]) -> Application:
        before = {app.id for app in yarn.tagged(tags[0])}
        try:
            self._client.run(self.command(run, tags))
        except MillpondError as error:
            raise MillpondError(f"{error}; the cluster: {yarn.room()}") from None
        crash_point("submitted")
        found = yarn.tagged(tags[0])
        submitted = [app for app in found if app.id not in before]
        if not submitted:
            raise MillpondError(
                "spark-submit ended well and the ResourceManager knows no application with tag "
                f"{tags[0]}; look at what it said above"
            )
        choice = choose(found, tags[0])
        end(yarn, choice.end, "another one of the same generation stays")
        return choice.follow or submitted[0]  # the first may have ended by now

    def command(self, run: Run, tags: Sequence[str]) -> list[str]:
        """The spark-submit command of a run."""
        deployment = Settings.from_env(os.environ).deployment
        self.conf = {
            **(self.conf or {}),
            "spark.yarn.tags": ",".join(tags),
            # A second driver would publish beside the next try of this task.
            "spark.yarn.maxAppAttempts": "1",
            "spark.yarn.submit.waitAppCompletion": "false",
            # A folder of this deployment's alone, so that what a killed client left is found.
            "spark.yarn.stagingDir": zones.staging(run.root, deployment),
            # The provider gives them to the driver alone.
            **{f"spark.executorEnv.{k}": str(v) for k, v in (self.env_vars or {}).items()},
        }
        self.application_args = [*self.arguments, *run.arguments()]
        self.name = name_of(self.dag_id, self.task_id, run)
        return list(self._get_hook()._build_spark_submit_command(self.application))  # noqa: SLF001  pinned and contract-tested

    def _show(self, settings: Settings, context: Any, application: Application) -> None:
        """Push the links now: Airflow itself does it only when the task ends."""
        before, self.submitted = self.submitted, application
        for link in self.operator_extra_links:
            url = link.url(settings, application)
            if url and (before is None or url != link.url(settings, before)):
                context["ti"].xcom_push(key=link.xcom_key, value=url)
                self.log.info("%s: %s", link.name, url)

    def _judge(self, settings: Settings, outcome: Outcome, application: Application) -> Receipt:
        """The receipt; without one, and without a sentence of the application's, its log's end."""
        # It may have ended because HDFS did, which is as soon back as YARN.
        if receipt := patiently(outcome.receipt, settings.yarn_silence):
            if application.final_status == "FAILED":
                said = "%s failed once it had published, and the receipt counts; YARN says: %s"
                self.log.warning(said, application.id, application.diagnostics)
            return receipt
        trouble = outcome.trouble(application)
        if type(trouble) is MillpondError and application.log_url:
            quote(application.log_url, settings.yarn_ca)
        raise trouble

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
        crash_point("recorded")

    def on_kill(self) -> None:
        """End the application with the task; leave it to the try that goes on with it, if any."""
        if self._is_over or is_wanted_still(get_current_context()["ti"]):
            return
        self._end_everything()
        # This runs in a signal handler: without an exception the task would go on.
        raise AirflowException("the task was ended from outside, and its application with it")

    def _end_everything(self) -> None:
        """End the client that submits and whatever carries our generation's tag."""
        self._client.kill()
        if self._generation_tag is None:
            return
        yarn = ResourceManager.hurried(Settings.from_env(os.environ))
        try:
            end_generation(yarn, self._generation_tag, self.submitted)
        except MillpondError as error:
            self.log.error("not seen to end: %s", error)  # noqa: TRY400  a sentence
