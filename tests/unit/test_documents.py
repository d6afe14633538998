"""What the documents say is so: commands, settings, addresses, sentences, programs and figures."""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from millpond.catalog.settings import PROJECT_DIR, SETTINGS, Settings
from millpond.cli.main import COMMANDS

DOCS = PROJECT_DIR / "docs"
PAGES = [*PROJECT_DIR.glob("*.md"), *DOCS.rglob("*.md")]
# Marks that the platform gives its processes, and what a test run can be told.
OTHER_VARIABLES = {"MILLPOND_PART", "MILLPOND_PART_HOME", "MILLPOND_TEST_HOME"}

every_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: str(page.relative_to(PROJECT_DIR))
)


def code_lines(page: Path) -> Iterator[str]:
    """The lines of a page that are code: in a fence, or between backticks."""
    for fenced, inline in re.findall(r"```\w*\n(.*?)```|`([^`\n]+)`", page.read_text(), re.DOTALL):
        yield from fenced.splitlines() or [inline]


@every_page
def test_every_command_exists(page: Path) -> None:
    commands = {command.__name__ for command in COMMANDS}
    called = [re.match(r"(?:\S*/bin/)?millpond ([a-z]+)", line) for line in code_lines(page)]
    assert {call[1] for call in called if call} <= commands


@every_page
def test_every_make_target_exists(page: Path) -> None:
    makefile = (PROJECT_DIR / "Makefile").read_text()
    called = [re.match(r"(?:\S+=\S+ )?make ([a-z -]+)", line) for line in code_lines(page)]
    targets = {target for call in called if call for target in call[1].split()}
    assert targets <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


@every_page
def test_every_setting_exists(page: Path) -> None:
    named = set(re.findall(r"MILLPOND_[A-Z_]+", page.read_text()))
    assert named <= {setting.variable for setting in SETTINGS} | OTHER_VARIABLES


def test_the_readme_has_the_addresses() -> None:
    here = Settings.from_env({})
    namenode = f"http://127.0.0.1:{here.port('namenode-http')}"
    readme = (PROJECT_DIR / "README.md").read_text()
    for address in (here.airflow_url, here.yarn_url, here.history_url, namenode):
        assert f"| {address} |" in readme
    passwords = here.airflow_passwords.relative_to(PROJECT_DIR)
    assert f"user `{here.airflow_user}`, password in `{passwords}`" in readme


@pytest.mark.parametrize(
    "program", sorted((DOCS / "how-to" / "snippets").glob("*.py")), ids=lambda file: file.name
)
def test_a_program_is_on_its_page_as_it_is_run(program: Path) -> None:
    pages = [page.read_text() for page in PAGES]
    assert any(f"```python\n{program.read_text()}```" in page for page in pages)


def sentences_of(code: str) -> Iterator[str]:
    """Every text in a module, with `...` for each value in it."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else "..." for p in node.values)
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"%\.?\d*[sdf]", "...", node.value)  # a line of a log


def test_sentences_of_failures_are_those_of_the_code() -> None:
    modules = [*PROJECT_DIR.glob("src/millpond/**/*.py"), *PROJECT_DIR.glob("spark_apps/*.py")]
    code = [sentence for file in modules for sentence in sentences_of(file.read_text())]
    page = (DOCS / "how-to" / "when-something-fails.md").read_text()
    cells = re.findall(r"^\| (`.+?`) \|", page, re.MULTILINE)
    explained = [sentence for cell in cells for sentence in re.findall(r"`(.+?)`", cell)]
    assert explained != []
    assert [e for e in explained if not any(e in sentence for sentence in code)] == []


def fits(line: str) -> bool:
    """Whether a line of the bundled ratings is one: four numbers, a user, and 1 to 5 stars."""
    fields = line.split("\t")
    return (
        len(fields) == 4
        and all(map(str.isdecimal, fields))
        and fields[0] != "0"
        and fields[2] in set("12345")
    )


def histogram_of(lines: Iterable[str]) -> dict[float, int]:
    """The oracle: of one user's ratings of a movie the latest counts."""
    latest: dict[tuple[str, str], tuple[int, int, float]] = {}
    for number, line in enumerate(lines, start=1):
        if fits(line):
            user, movie, rating, second = line.split("\t")
            candidate = (int(second), number, float(rating))
            latest[user, movie] = max(candidate, latest.get((user, movie), candidate))
    return dict(Counter(rating for *_, rating in latest.values()))


@pytest.fixture
def ratings() -> list[str]:
    """The lines of the bundled ratings."""
    return (PROJECT_DIR / "include/data/ratings/u.data").read_text().splitlines()


@pytest.fixture
def tutorial() -> str:
    return (DOCS / "tutorial" / "first-day.md").read_text()


def test_the_tutorial_shows_the_histograms_of_the_bundled_data(
    ratings: list[str], tutorial: str
) -> None:
    blocks = re.findall(r"```\n( +rating +ratings +ds.*?)```", tutorial, re.DOTALL)
    shown = [re.findall(r"(\d\.\d) +(\d+) ", block) for block in blocks]
    assert [{float(stars): int(count) for stars, count in block} for block in shown] == [
        histogram_of(ratings),
        histogram_of(ratings[:1000]),
    ]


def test_the_tutorial_counts_the_lines_of_the_bundled_data(
    ratings: list[str], tutorial: str
) -> None:
    lines, clean = len(ratings), sum(map(fits, ratings))
    rows = f"`in` {lines}, `quarantined` {lines - clean}, `out` {clean}"
    assert rows in " ".join(tutorial.split())
    assert all(map(fits, ratings[:1000]))  # or the spoilt file would have more than twenty
