"""The reference pages and the README are those of the catalogue."""

import re
from pathlib import Path

import pytest

from millpond.catalog.analyses import ANALYSES
from millpond.catalog.settings import PROJECT_DIR
from millpond.cli import reference
from millpond.errors import MillpondError


def test_the_committed_pages_are_current() -> None:
    reference.check(reference.FOLDER)


def test_a_stale_or_missing_page_is_named_with_the_remedy(tmp_path: Path) -> None:
    reference.write(tmp_path)
    reference.check(tmp_path)
    page = tmp_path / "tables.md"
    page.write_text(page.read_text().replace("rating_histogram", "histogram"))
    with pytest.raises(MillpondError, match=r"tables\.md is not what the catalogue says; run"):
        reference.check(tmp_path)
    page.unlink()
    with pytest.raises(MillpondError, match=r"tables\.md is not what the catalogue says"):
        reference.check(tmp_path)


def test_the_readme_lists_the_analyses() -> None:
    readme = (PROJECT_DIR / "README.md").read_text()
    _, table = readme.split("| analysis | question |\n|---|---|\n")
    listed = table.partition("\n\n")[0].splitlines()
    assert listed == [f"| `{of.name}` | {of.question} |" for of in ANALYSES]


def test_every_link_between_documents_leads_somewhere() -> None:
    documents = [*PROJECT_DIR.glob("*.md"), *(PROJECT_DIR / "docs").rglob("*.md")]
    for document in documents:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
