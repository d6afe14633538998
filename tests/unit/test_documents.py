"""What the documents say is so: commands, settings, addresses, sentences, programs and figures."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from millpond.catalog.settings import PROJECT_DIR, SETTINGS, Settings
from millpond.cli.main import COMMANDS
from tests.bundled import RATINGS, TEMPERATURES, fitting, lines
from tests.oracles import latest_ratings, min_temperatures, popular_movies

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
    called = [re.match(r"(?:\S*/bin/)?millpond ([a-z]+)", line) for line in code_lines(page)]
    assert {call[1] for call in called if call} <= set(COMMANDS)


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


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!http)([^)#\s]*)#?([^)\s]*)\)", page.read_text())
    for place, heading in links:
        target = page.parent / place if place else page
        assert target.exists(), place
        if heading:
            headings = re.findall(r"^#+ (.+)", target.read_text(), re.MULTILINE)
            assert heading in {text.lower().replace(" ", "-") for text in headings}


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


@pytest.fixture
def tutorial() -> str:
    return (DOCS / "tutorial" / "first-day.md").read_text()


def test_the_tutorial_shows_the_histograms_of_the_bundled_data(tutorial: str) -> None:
    blocks = re.findall(r"```\n( +rating +ratings +ds.*?)```", tutorial, re.DOTALL)
    shown = [re.findall(r"(\d\.\d) +(\d+) ", block) for block in blocks]
    assert [{float(stars): int(count) for stars, count in block} for block in shown] == [
        Counter(latest_ratings().values()),
        Counter(latest_ratings(1000).values()),
    ]


def test_the_tutorial_counts_the_lines_of_the_bundled_data(tutorial: str) -> None:
    all_, clean = lines(RATINGS), fitting(RATINGS)
    rows = f"`in` {len(all_)}, `quarantined` {len(all_) - len(clean)}, `out` {len(clean)}"
    assert rows in " ".join(tutorial.split())
    # The first thousand all fit, or the spoilt file would have more than twenty that do not.
    assert [line.split("\t") for line in all_[:1000]] == clean[:1000]


def test_the_tutorial_shows_the_most_rated_movies_of_the_bundled_data(tutorial: str) -> None:
    [block] = re.findall(
        r"```\n +movie_id +title +ratings +average.*?\n(.*?)```", tutorial, re.DOTALL
    )
    shown = re.findall(r"^ +(\d+)   (.*?) +(\d+)   ([\d.]+) ", block, re.MULTILINE)
    found = [(int(m), title, int(n), float(mean)) for m, title, n, mean in shown]
    assert found == [tuple(row.values()) for row in popular_movies()[:3]]


def test_the_tutorial_charts_the_minima_of_the_bundled_data(tutorial: str) -> None:
    [block] = re.findall(r"```\n +station +min_celsius\n(.*?)```", tutorial, re.DOTALL)
    shown = re.findall(r"^  (\w+) +(\S+) +(-\d+\.\d)$", block, re.MULTILINE)
    coldest = {row["station"]: Decimal(row["min_celsius"]) for row in min_temperatures()}
    assert {station: Decimal(value) for station, _, value in shown} == coldest
    # 40 characters are the lowest of all; a half or an eighth at an end rounds a bar up.
    for station, bar, _ in shown:
        assert abs(len(bar) - 40 * coldest[station] / min(coldest.values())) < 1
    stations = {fields[0] for fields in fitting(TEMPERATURES)}
    assert len(stations) == 10
    assert len(stations - {station for station, *_ in shown}) == 1
