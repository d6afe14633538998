"""Hours out of order under the real scheduler, and a customer service that misbehaves meanwhile."""

import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from millpond.catalog.settings import Settings
from millpond.cli import runs
from millpond.cli.airflow_api import HOURLY, AirflowApi
from millpond.cluster import postgres
from millpond.errors import MillpondError
from millpond.interactions import topic
from millpond.interactions.ledger import Ledger
from millpond.interactions.schema import IDENTITY
from tests.faults.holding import until
from tests.faults.test_parts import kill, up
from tests.faults.world import HOURS, LAST
from tests.history import first_violation, read_history, read_ranges
from tests.integration.local_platform import Platform, apart
from tests.ledger.reference import Reference

ONE, TWO, THREE = HOURS[-3:]

DOWN = {"answer": "status", "status": 503, "applied": False, "times": 0}
REFUSED = {"answer": "status", "status": 404, "applied": False, "times": 0}
# Each heals within a run: /data is tried again, and who was not answered is asked for by the next.
STORM: list[dict[str, Any]] = [
    {"path": "/getcustomer", "answer": "mismatch", "times": 2},
    {"path": "/getcustomer", "answer": "html", "times": 2},
    {"path": "/getcustomer", "answer": "reset", "times": 2},
    # As many as come at once: once the breaker rests, it meets one a minute.
    {"answer": "status", "status": 500, "applied": False, "times": 8},
    {"answer": "status", "status": 429, "applied": False, "retry_after": "2"},
    {"answer": "reset", "applied": False, "times": 2},
    {"answer": "reset", "times": 2},
    {"answer": "half", "times": 2},
    {"answer": "html", "times": 2},
]


@dataclass(frozen=True)
class Hours:
    """Three hours long past, filled with made-up interactions, in a world of their own."""

    platform: Platform
    reference: Reference
    truth: dict[str, Any]
    world: dict[str, str]
    runs: list[str] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return self.platform.settings

    def start(self, hour: str) -> str:
        self.runs.append(self.api.create_run_with({"hour": hour, "world": self.world}))
        return self.runs[-1]

    def end(self) -> None:
        """Leave no run behind, whatever the test found: the next one would wait for it."""
        for run in self.runs:
            if self.api.state(run) in ("queued", "running"):
                self.api._dag("PATCH", f"dagRuns/{run}", json={"state": "failed"})

    @property
    def api(self) -> AirflowApi:
        return AirflowApi(self.settings, "held_hours")


@pytest.fixture
def hours(platform: Platform, reference: Reference, tmp_path: Path) -> Iterator[Hours]:
    here, name = platform.settings, f"hours_{uuid.uuid4().hex[:8]}"
    own = apart(platform, name)
    settings = replace(own.settings, interactions_topic=name)
    topic.create(here.kafka_servers, name)
    world = {
        "MILLPOND_INTERACTIONS_TOPIC": name,
        "MILLPOND_INTERACTIONS_START": str(ONE),
        "MILLPOND_ROOT": settings.root,
        "MILLPOND_LEDGER_URL": settings.ledger_url,
        "AIRFLOW_CONN_CUSTOMER_SERVICE": reference.connection,
    }
    its = replace(own, settings=settings, environ={**own.environ, **world})
    file = tmp_path / "truth.json"
    asked = ("--hours", "3", "--rate", "300", "--until", str(LAST.next), "--truth", str(file))
    produced = its.millpond("interactions", "produce", *asked)
    assert produced.returncode == 0, produced.stderr
    found = Hours(its, reference, json.loads(file.read_text()), world)
    yield found
    found.end()
    postgres.query(here, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.case(22, slow=True)
@pytest.mark.case(23, slow=True)
def test_hours_out_of_order_end_with_the_truth_though_the_service_misbehaves(hours: Hours) -> None:
    api, reference = hours.api, hours.reference
    assert shape(api) == shape(AirflowApi(hours.settings, HOURLY))
    reference.faults({"path": "/getcustomer", **DOWN}, REFUSED)
    third = hours.start(str(THREE))
    with pytest.raises(MillpondError, match="refuse what is sent, all alike"):
        runs.follow(api, third)
    assert reference.counts == {}
    sealed = ranges(hours)
    reference.faults(*STORM)
    api.clear(third)
    for run in (third, hours.start(str(ONE)), hours.start(str(TWO))):
        runs.follow(api, run)
    history = read_history(hours.settings, hours.truth, reference.requests, sealed)
    assert first_violation(history) is None
    assert {hour for _, hour, _, _ in sealed} == {ONE, TWO, THREE}
    assert "resolved" in states(hours)
    audited = hours.platform.millpond("interactions", "audit")
    assert audited.stderr.startswith("3 hours and the totals of "), audited.stderr
    for hour in (ONE, TWO, THREE):
        check_balance(hours, str(hour))


@pytest.mark.alone
@pytest.mark.case(10, slow=True)
@pytest.mark.parametrize("seconds", [10, 60])
def test_a_scheduler_killed_while_an_hour_is_posted_leaves_the_truth(
    platform: Platform, hours: Hours, seconds: int
) -> None:
    api, reference = hours.api, hours.reference
    reference.faults({"seconds": 4, "times": 0})
    run = hours.start(str(ONE))
    api.unpause()
    until(lambda: any(request["path"] == "/data" for request in reference.requests))
    kill(platform, "airflow-scheduler")
    time.sleep(seconds)  # how long it is down is the fault
    reference.faults()
    up(platform)  # not in the world of the hours, which is for their tasks alone
    runs.follow(api, run)
    only = {"hours": {str(ONE): hours.truth["hours"][str(ONE)]}}
    told = {**hours.truth, **only}
    history = read_history(hours.settings, told, reference.requests, ranges(hours))
    assert first_violation(history) is None
    check_balance(hours, str(ONE))


def shape(api: AirflowApi) -> dict[str, Any]:
    """What follows each task of a DAG, and when, and where it waits for its turn."""
    kept = ("operator_name", "downstream_task_ids", "trigger_rule", "pool", "retries")
    tasks = api._dag("GET", "tasks")["tasks"]
    return {task["task_id"]: [task[name] for name in kept] for task in tasks}


def ranges(hours: Hours) -> list[Any]:
    with Ledger(hours.settings.ledger_url).transaction() as database:
        return read_ranges(database, hours.settings.interactions_topic)


def states(hours: Hours) -> set[str]:
    with Ledger(hours.settings.ledger_url).transaction() as database:
        return set(database.scalars(sa.select(IDENTITY.c.state)))


def check_balance(hours: Hours, hour: str) -> None:
    """The published figures are those of the truth, and nothing is left to be sent."""
    shown = hours.platform.millpond(
        "show", "interactions_balance", "--hour", hour, "--format", "json"
    )
    [balance] = json.loads(shown.stdout)
    truth = hours.truth["hours"][hour]
    counted, anonymous = sum(truth["counts"].values()), sum(p[-1] for p in truth["anonymous"])
    assert balance["counted"] == counted
    assert balance["anonymous"] == anonymous
    assert balance["quarantined"] == truth["quarantined"]
    assert balance["rows"] == 300
    assert balance["contributions"] == counted + anonymous
    assert balance["assigned"] == balance["totals"]
    assert (balance["pending"], balance["dead"]) == (0, 0)
