"""The contract between an operator and an application."""

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

import millpond
from millpond.catalog.partitions import Hour
from millpond.catalog.settings import PROJECT_DIR
from millpond.errors import MillpondError
from millpond.run import SHAPING, Run, code_version

DAY = date(2026, 11, 22)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

hours = st.integers(0, 10**6).map(lambda n: Hour.of(EPOCH + timedelta(hours=n)))
runs = st.builds(
    Run,
    partition=st.dates() | hours,
    generation=st.from_regex(r"[a-z0-9][a-z0-9-]{0,59}", fullmatch=True),
    attempt=st.integers(1, 99),
    run_id=st.text("abcXYZ0189_:+.-T", min_size=1),
    root=st.just("/millpond"),
    settings=st.lists(st.tuples(st.text("abc_", min_size=1), st.text("xyz=0. ", max_size=8))).map(
        tuple
    ),
)


@given(run=runs)
def test_an_application_reads_the_run_that_the_operator_wrote(run: Run) -> None:
    assert Run.parse(run.arguments()) == run


def test_an_attempt_is_named_by_its_generation_and_number() -> None:
    assert Run(DAY, "0199-ab", 2, "r", "/millpond").name == "0199-ab-2"


def test_a_generation_that_cannot_be_a_yarn_tag_is_refused() -> None:
    with pytest.raises(MillpondError, match="generation 'A B' is not 1 to 60 lower-case"):
        Run(DAY, "A B", 1, "r", "/millpond")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--ds", "yesterday"], "invalid fromisoformat value: 'yesterday'"),
        (["--hour", "2026-11-22T7"], "invalid parse value: '2026-11-22T7'"),
        (["--ds", "2026-11-22", "--hour", "2026-11-22T07"], "not allowed with argument --ds"),
        (["--ds", "2026-11-22"], "the following arguments are required"),
        (["--set", "rank"], "'rank' is not key=value"),
    ],
)
def test_wrong_arguments_end_with_a_usage_message(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        Run.parse(arguments)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_the_code_version_changes_with_the_application_and_nothing_else(tmp_path: Path) -> None:
    application = tmp_path / "rating_histogram.py"
    application.write_text("answer = 41\n")
    before = code_version(application)
    assert code_version(application) == before
    application.write_text("answer = 42\n")
    assert code_version(application) != before


def test_the_code_version_is_of_all_that_an_application_imports() -> None:
    package = Path(millpond.__file__).parent
    folders = [PROJECT_DIR / "spark_apps", *(package / name for name in SHAPING)]
    code = [file.read_text() for folder in folders for file in folder.rglob("*.py")]
    imported = {name for text in code for name in re.findall(r"^from millpond\.(\w+)", text, re.M)}
    assert imported - {file.stem for file in package.glob("*.py")} == set(SHAPING)
