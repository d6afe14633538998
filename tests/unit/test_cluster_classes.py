from pathlib import Path

import pytest

from millpond.catalog.settings import Settings
from millpond.cluster import classes, jars


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the archives that were made had in them; a JVM is not started."""
    extras = tmp_path / "spark"
    extras.mkdir()
    (extras / "a.jar").write_bytes(b"a")
    made: list[str] = []

    def dump(_: Settings, file: Path) -> None:
        made.append(" ".join(sorted(jar.name for jar in extras.iterdir())))
        file.write_text(made[-1])

    monkeypatch.setattr(jars, "JARS_DIR", tmp_path)
    monkeypatch.setattr(jars, "SPARK_EXTRAS", jars.JarSet(extras, extras, extras))
    monkeypatch.setattr(classes, "CLASS_ARCHIVE", tmp_path / "classes.jsa")
    monkeypatch.setattr(classes, "KEY", tmp_path / "classes.key")
    monkeypatch.setattr(classes, "_load_and_dump", dump)
    return made


def archive() -> None:
    classes.archive(Settings.from_env({}), lambda _: None)


def test_an_archive_is_made_once(made: list[str], tmp_path: Path) -> None:
    archive()
    archive()
    assert made == ["a.jar"]
    assert (tmp_path / "classes.jsa").read_text() == "a.jar"


def test_other_jars_and_another_java_want_another_archive(
    made: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive()
    (tmp_path / "spark" / "b.jar").write_bytes(b"b")
    archive()
    assert made == ["a.jar", "a.jar b.jar"]
    java = tmp_path / "java"
    (java / "bin").mkdir(parents=True)
    (java / "bin" / "java").touch()
    (java / "release").write_text("another")
    monkeypatch.setenv("JAVA_HOME", str(java))
    archive()
    assert len(made) == 3


def test_what_a_killed_one_left_is_not_taken(made: list[str], tmp_path: Path) -> None:
    (tmp_path / "classes.new").write_text("half")
    archive()
    assert (tmp_path / "classes.jsa").read_text() == "a.jar"
    (tmp_path / "classes.key").unlink()  # killed between the two
    archive()
    assert len(made) == 2
