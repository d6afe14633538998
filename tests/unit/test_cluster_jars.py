import hashlib
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from millpond.cluster import jars
from millpond.cluster.config import spark_home
from millpond.errors import MillpondError

MAVEN = "{http://maven.apache.org/POM/4.0.0}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "jars"
    folder.mkdir()
    (folder / "a-1.jar").write_bytes(b"A")
    (folder / "b-2.jar").write_bytes(b"B")
    return folder


@pytest.fixture
def sums(folder: Path, tmp_path: Path) -> Path:
    sums = tmp_path / "jars.sha256"
    jars.write_sums(folder, sums)
    return sums


def test_sums_are_one_line_a_jar(sums: Path) -> None:
    a, b = (hashlib.sha256(content).hexdigest() for content in (b"A", b"B"))
    assert sums.read_text() == f"{a}  a-1.jar\n{b}  b-2.jar\n"


def test_what_is_as_listed_passes(folder: Path, sums: Path) -> None:
    jars.verify(folder, sums)


def test_a_changed_jar_is_named(folder: Path, sums: Path) -> None:
    (folder / "b-2.jar").write_bytes(b"tampered")
    with pytest.raises(MillpondError, match=r"b-2\.jar has the SHA-256 sum .*; delete .*/jars"):
        jars.verify(folder, sums)


def test_a_missing_jar_is_named(folder: Path, sums: Path) -> None:
    (folder / "a-1.jar").unlink()
    with pytest.raises(MillpondError, match=r"a-1\.jar is missing from .*; delete .*/jars"):
        jars.verify(folder, sums)


def test_an_unlisted_jar_is_named(folder: Path, sums: Path) -> None:
    (folder / "c-3.jar").write_bytes(b"C")
    with pytest.raises(MillpondError, match=r"c-3\.jar is not listed in .*; delete .*/jars"):
        jars.verify(folder, sums)


def test_maven_missing_is_named_with_its_remedy(
    tmp_path: Path, sums: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(jars, "JARS_DIR", tmp_path / ".jars")
    absent = jars.JarSet(tmp_path / "none", tmp_path / "pom.xml", sums)
    monkeypatch.setattr(jars, "ALL", (absent,))
    with pytest.raises(MillpondError, match="no mvn on the PATH; sudo apt-get install maven"):
        jars.ensure(lambda _: None)


def fake_maven(folder: Path, script: str) -> None:
    folder.mkdir()
    maven = folder / "mvn"
    maven.write_text(f'#!/bin/sh\nout="${{6#-DoutputDirectory=}}"\n{script}\n')
    maven.chmod(0o755)


@pytest.fixture
def one_set(
    tmp_path: Path, folder: Path, sums: Path, monkeypatch: pytest.MonkeyPatch
) -> jars.JarSet:
    """A set of two jars that is downloaded nowhere yet."""
    home = tmp_path / ".jars"
    wanted = jars.JarSet(home / "set", tmp_path / "pom.xml", sums)
    monkeypatch.setattr(jars, "JARS_DIR", home)
    monkeypatch.setattr(jars, "ALL", (wanted,))
    monkeypatch.setattr(jars, "WEBAPPS_DIR", tmp_path)  # there already
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return wanted


def test_a_download_is_kept_once_it_is_verified(
    one_set: jars.JarSet, folder: Path, tmp_path: Path
) -> None:
    fake_maven(tmp_path / "bin", f"cp {folder}/*.jar $out")
    said: list[str] = []
    jars.ensure(said.append)
    assert sorted(jar.name for jar in one_set.folder.iterdir()) == ["a-1.jar", "b-2.jar"]
    assert len(said) == 1


def test_what_is_there_is_not_downloaded_again(
    one_set: jars.JarSet, folder: Path, tmp_path: Path
) -> None:
    fake_maven(tmp_path / "bin", f"cp {folder}/*.jar $out")
    jars.ensure(lambda _: None)
    (tmp_path / "bin" / "mvn").unlink()
    jars.ensure(pytest.fail)


def test_what_has_changed_since_its_download_is_refused(
    one_set: jars.JarSet, folder: Path, tmp_path: Path
) -> None:
    fake_maven(tmp_path / "bin", f"cp {folder}/*.jar $out")
    jars.ensure(lambda _: None)
    (one_set.folder / "a-1.jar").write_bytes(b"another")
    with pytest.raises(MillpondError, match=r"a-1\.jar has the SHA-256 sum"):
        jars.ensure(lambda _: None)


def test_a_download_that_is_not_as_listed_is_refused(
    one_set: jars.JarSet, folder: Path, tmp_path: Path
) -> None:
    fake_maven(tmp_path / "bin", f"cp {folder}/a-1.jar $out")
    with pytest.raises(MillpondError, match=r"b-2\.jar is missing"):
        jars.ensure(lambda _: None)
    assert not one_set.folder.exists()


def test_a_failed_download_says_what_maven_said_and_the_next_one_works(
    one_set: jars.JarSet, folder: Path, tmp_path: Path
) -> None:
    fake_maven(tmp_path / "bin", "echo '[ERROR] no route to host'; touch $out/half.jar; exit 1")
    with pytest.raises(MillpondError, match="no route to host"):
        jars.ensure(lambda _: None)
    (tmp_path / "bin" / "mvn").write_text(
        f'#!/bin/sh\ncp {folder}/*.jar "${{6#-DoutputDirectory=}}"\n'
    )
    jars.ensure(lambda _: None)
    assert sorted(each.name for each in jars.JARS_DIR.iterdir()) == ["lock", "set"]


@pytest.mark.parametrize("jar_set", jars.ALL, ids=lambda jar_set: jar_set.pom.name)
def test_every_declared_artifact_has_a_committed_sum(jar_set: jars.JarSet) -> None:
    listed = jars.read_sums(jar_set.sums)
    assert all(re.fullmatch("[0-9a-f]{64}", sum_) for sum_ in listed.values())
    for artifact in ET.parse(jar_set.pom).iterfind(f".//{MAVEN}dependency"):
        name = artifact.findtext(f"{MAVEN}artifactId")
        assert any(jar.startswith(f"{name}-") for jar in listed), name


def test_sparks_extras_repeat_nothing_that_pyspark_has() -> None:
    def artifacts(names: list[str]) -> set[str]:
        return {re.sub(r"-\d[^-]*(-[\w.]+)?\.jar$", "", name) for name in names}

    inside = artifacts([jar.name for jar in (spark_home() / "jars").glob("*.jar")])
    assert "spark-core_2.13" in inside
    assert artifacts(list(jars.read_sums(jars.SPARK_EXTRAS.sums))).isdisjoint(inside)
