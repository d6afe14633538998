"""Why an application ended as it did, and how long it took."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from millpond.airflow.outcomes import attempt_of, phases, trouble
from millpond.errors import BadInputError, CheckFailedError, MillpondError, SupersededError
from millpond.lake.receipts import Receipt
from millpond.run import Run
from millpond.yarn import Application
from tests.receipts import RECEIPT

RUN = Run(date(2026, 11, 22), "01a2-ours", 2, "scheduled__2026-11-23", "/millpond")
OURS, OTHERS = "01a2-ours-1", "01a3-others-1"


def ended(state: str = "FINISHED", final_status: str = "FAILED", **values: Any) -> Application:
    unset: dict[str, Any] = {"diagnostics": "", "started": 0, "launched": 0, "finished": 0}
    return Application(
        id="application_5_0001",
        name="",
        state=state,
        final_status=final_status,
        tags=frozenset(),
        asked="",
        log_url="",
        **{**unset, **values},
    )


def test_an_adopted_application_is_an_earlier_attempt_of_the_generation() -> None:
    assert attempt_of("01a2-ours-1", RUN) == "1"
    assert attempt_of("01a3-others-1", RUN) is None
    assert attempt_of(None, RUN) is None


@pytest.mark.parametrize(
    ("exit_code", "claimant", "kind"),
    [
        (10, OURS, BadInputError),
        (11, OURS, CheckFailedError),
        # Ended for another generation: to try again would end that one in turn.
        (12, OTHERS, SupersededError),
        (None, OTHERS, SupersededError),
        # Overtaken by another try of its own generation: that one may have failed since.
        (12, OURS, MillpondError),
        (1, OURS, MillpondError),
        (None, OURS, MillpondError),
        (None, None, MillpondError),
    ],
)
def test_the_class_says_whether_a_retry_can_help(
    exit_code: int | None, claimant: str | None, kind: type[MillpondError]
) -> None:
    report = None if exit_code is None else {"exit_code": exit_code, "cause": "the cause"}
    assert type(trouble(ended(), report, claimant, RUN)) is kind


def test_the_applications_own_sentence_is_what_a_person_reads() -> None:
    report = {"exit_code": 10, "cause": "24 of 2024 lines do not fit"}
    assert str(trouble(ended(), report, OURS, RUN)) == "24 of 2024 lines do not fit"


def test_a_fault_ends_with_its_first_cause_and_what_yarn_says() -> None:
    said = ended(diagnostics="User application exited with status 1\n")
    report = {"exit_code": 1, "cause": "java.io.IOException: no space left"}
    begins = "application_5_0001 is FINISHED, FAILED, and left no receipt: "
    assert str(trouble(said, report, OURS, RUN)) == (
        f"{begins}java.io.IOException: no space left; "
        "YARN says: User application exited with status 1"
    )
    assert str(trouble(said, None, OURS, RUN)) == (
        f"{begins}YARN says: User application exited with status 1"
    )
    assert str(trouble(ended(), None, OURS, RUN)) == f"{begins}nobody says why"


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("User application exited with status 143", "it was told to end: by hand, or by a NodeM"),
        ("exited with  exitCode: 137 failed 1 times", "it was killed: by hand, with its NodeMana"),
    ],
)
def test_a_signal_is_told_in_words(said: str, why: str) -> None:
    sentence = str(trouble(ended(diagnostics=said), None, OURS, RUN))
    assert f"and left no receipt: {why}" in sentence
    assert sentence.endswith(f"; YARN says: {said}")


def receipt(seconds: dict[str, float], written_at: float) -> Receipt:
    moment = datetime.fromtimestamp(written_at, UTC).isoformat(timespec="milliseconds")
    return replace(RECEIPT, seconds=seconds, written_at=moment)


def test_the_phases_of_an_application_add_up_to_the_time_of_its_task() -> None:
    app = ended(started=103_000, launched=105_000, finished=130_000)
    of = receipt({"session": 4.0, "open": 1.0, "compute": 5.0, "publish": 2.0}, written_at=121)
    found = phases(100, app, of, noticed=131.5)
    assert found == {
        "submit": 103 - 100,
        "wait": 105 - 103,
        # From launch to receipt, less what the driver counted after its session was there.
        "session": (121 - 105) - (1 + 5 + 2),
        "compute": 1 + 5,
        # Another table's before the receipt, this one's after it.
        "publish": 2 + (130 - 121),
        "notice": 1.5,
    }
    assert sum(found.values()) == 131.5 - 100


def test_adopting_takes_no_time_to_submit() -> None:
    app = ended(started=103_000, launched=105_000, finished=130_000)
    assert phases(110, app, receipt({}, written_at=121), noticed=131)["submit"] == 0
