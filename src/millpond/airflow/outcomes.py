"""How an application ended: by its receipt, else by the cause it left, else by what YARN says."""

import re
from datetime import datetime
from typing import Any

from millpond.catalog import zones
from millpond.catalog.settings import Settings
from millpond.catalog.tables import Table
from millpond.errors import BadInputError, CheckFailedError, MillpondError, SupersededError
from millpond.lake.exports import bring_up_to_date
from millpond.lake.hdfs import Hdfs
from millpond.lake.receipts import Receipt, Receipts
from millpond.lake.tables import StoredTable
from millpond.run import Run
from millpond.yarn import Application

# How a process ends that a signal ends; YARN gives the number alone.
SIGNALS = {
    "137": "it was killed: by hand, with its NodeManager, or for the memory it took",
    "143": "it was told to end: by hand, or by a NodeManager that was started again",
}
# Running again would end alike: the data or the code must change first.
FINAL = {kind.exit_code: kind for kind in (BadInputError, CheckFailedError)}


class Outcome:
    """What a run of a table has left on HDFS."""

    def __init__(self, settings: Settings, table: Table, run: Run) -> None:
        self._hdfs = Hdfs(settings.hdfs_url)
        self._stored = StoredTable(table, settings.hdfs_url, settings.root)
        self._receipts = Receipts(self._hdfs, settings.root, table.name, run.partition)
        self._run = run

    def claim(self) -> None:
        """From now on only this attempt may publish the date.

        Raises:
            SupersededError: A later attempt of this generation has claimed it: this one is a
                process that Airflow has given up, and nobody stopped.
        """
        held = attempt_of(self._receipts.claimant(), self._run)
        if held is not None and int(held) > self._run.attempt:
            raise SupersededError(
                f"attempt {self._run.name} comes too late: attempt {held} of the same generation "
                f"has claimed {self._run.partition}, and its result is the one to come"
            )
        self._receipts.claim(self._run.name)

    def receipt(self) -> Receipt | None:
        """The receipt by which this run's generation published the date, or refused to.

        Another generation may have published the date since.
        """
        current = self._stored.number(self._run.partition)
        for receipt, sha256 in self._receipts.with_hashes():
            if receipt.generation == self._run.generation and (
                receipt.is_refusal
                or receipt.number == current
                or self._stored.has_commit_of(sha256)
            ):
                return receipt
        return None

    def export(self) -> None:
        """Write the export that an application did not live to write after its commit."""
        if self._stored.table.export:
            bring_up_to_date(self._hdfs, self._run.root, self._stored, self._run.partition)

    def path(self, receipt: Receipt) -> str:
        """Where a receipt is on HDFS."""
        folder = zones.receipts(self._run.root, receipt.table, self._run.partition)
        return f"{folder}/{receipt.number}.json"

    def trouble(self, application: Application) -> MillpondError:
        """Why an application has ended without a receipt."""
        claimant = self._receipts.claimant()
        attempt = attempt_of(claimant, self._run)
        report = self._receipts.failure(self._run.generation, attempt) if attempt else None
        return trouble(application, report, claimant, self._run)


def attempt_of(claimant: str | None, run: Run) -> str | None:
    """Which attempt of the run's generation holds the claim; None if another generation does.

    An adopted application is an earlier attempt's, and reports under that one's number.
    """
    generation, _, attempt = (claimant or "").rpartition("-")
    return attempt if generation == run.generation else None


def trouble(
    application: Application, report: dict[str, Any] | None, claimant: str | None, run: Run
) -> MillpondError:
    """Why an application ended without a receipt; its class says whether a retry can help."""
    left = report or {}
    if kind := FINAL.get(left.get("exit_code", 0)):
        return kind(left["cause"])
    if claimant is not None and attempt_of(claimant, run) is None:
        return SupersededError(
            f"{application.id} was superseded: attempt {claimant} has claimed {run.partition} "
            "since, and its result is the one to come"
        )
    said = application.diagnostics.strip()
    signalled = re.search(r"(?:status|exitCode:) (137|143)\b", said)
    causes = [
        left.get("cause"),
        SIGNALS[signalled[1]] if signalled else None,
        f"YARN says: {said}" if said else None,
    ]
    return MillpondError(
        f"{application.id} is {application.state}, {application.final_status}, and left no "
        f"receipt: {'; '.join(filter(None, causes)) or 'nobody says why'}"
    )


def phases(
    began: float, application: Application, receipt: Receipt, noticed: float
) -> dict[str, float]:
    """The seconds of each phase, from the attempt's beginning to its notice (epoch seconds).

    The session's include the start of the driver's JVM, which the driver cannot see. Submitting
    took an attempt no time that adopted the application.
    """
    started, launched, finished = (
        moment / 1000
        for moment in (application.started, application.launched, application.finished)
    )
    written = datetime.fromisoformat(receipt.written_at).timestamp()
    # Tables that are published before the main one, whose receipt this is.
    published = receipt.seconds.get("publish", 0.0)
    computed = sum(receipt.seconds.values()) - receipt.seconds.get("session", 0.0) - published
    seconds = {
        "submit": max(0.0, started - began),
        "wait": launched - started,
        "session": written - launched - computed - published,
        "compute": computed,
        "publish": published + finished - written,
        "notice": noticed - finished,
    }
    return {phase: round(value, 1) for phase, value in seconds.items()}
