"""The jars of the daemons and of Spark: brought by Maven, verified against committed sums.

`python -m millpond.cluster.jars` brings them anew and rewrites the sums: run it after changing a
`*.pom.xml`, and read the difference before committing it.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from millpond.catalog.settings import PROJECT_DIR
from millpond.errors import MillpondError

JARS_DIR = PROJECT_DIR / ".jars"
INSTALL_MAVEN = "sudo apt-get install maven"
# The parent of `webapps`, which is what the class path needs.
WEBAPPS_DIR = JARS_DIR / "hadoop-webapps"


@dataclass(frozen=True)
class JarSet:
    """Jars that share a class path: `pom` declares them, `sums` lists what it must resolve to."""

    folder: Path
    pom: Path
    sums: Path


HADOOP = JarSet(
    JARS_DIR / "hadoop",
    Path(__file__).with_name("hadoop.pom.xml"),
    Path(__file__).with_name("hadoop.sha256"),
)
KAFKA = JarSet(
    JARS_DIR / "kafka",
    Path(__file__).with_name("kafka.pom.xml"),
    Path(__file__).with_name("kafka.sha256"),
)
SPARK_EXTRAS = JarSet(
    JARS_DIR / "spark",
    Path(__file__).with_name("spark-extras.pom.xml"),
    Path(__file__).with_name("spark-extras.sha256"),
)
ALL = (HADOOP, KAFKA, SPARK_EXTRAS)


def ensure(report: Callable[[str], None]) -> None:
    """Have all jars in place and verified; download only what is not there.

    Raises:
        MillpondError: Maven is missing or fails, or a jar is not what the sums say.
    """
    for jars in ALL:
        if not jars.folder.is_dir():
            report(f"downloading the jars of {jars.pom.name} with Maven")
            with alone():
                _download(jars)
        verify(jars.folder, jars.sums)
    if not WEBAPPS_DIR.is_dir():
        with alone():
            _unpack_webapps()


def verify(folder: Path, sums: Path) -> None:
    """Compare the jars of a folder with a list of sums.

    Raises:
        MillpondError: A jar is missing, unlisted, or has another sum; the sentence names it.
    """
    expected = read_sums(sums)
    found = {jar.name for jar in folder.glob("*.jar")}
    remedy = f"delete {folder}, and `millpond up` downloads it again"
    for name in sorted(expected.keys() - found):
        raise MillpondError(f"{name} is missing from {folder}; {remedy}")
    for name in sorted(found - expected.keys()):
        raise MillpondError(f"{folder / name} is not listed in {sums}; {remedy}")
    for name, sum_ in expected.items():
        if (actual := _sha256(folder / name)) != sum_:
            raise MillpondError(
                f"{folder / name} has the SHA-256 sum {actual[:16]}... where {sums.name} has "
                f"{sum_[:16]}...; {remedy}"
            )


def read_sums(sums: Path) -> dict[str, str]:
    """The sums by file name."""
    pairs = (line.split() for line in sums.read_text().splitlines())
    return {name: sum_ for sum_, name in pairs}


def write_sums(folder: Path, sums: Path) -> None:
    """List the sums of a folder's jars, one line a jar."""
    jars = sorted(folder.glob("*.jar"))
    sums.write_text("".join(f"{_sha256(jar)}  {jar.name}\n" for jar in jars))


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@contextmanager
def alone() -> Iterator[None]:
    """Two platforms of one checkout share the jars: one makes them, the other waits."""
    JARS_DIR.mkdir(exist_ok=True)
    with (JARS_DIR / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left_by_a_killed_download in JARS_DIR.glob(".new-*"):
            shutil.rmtree(left_by_a_killed_download)
        yield


def _download(jars: JarSet) -> None:
    if jars.folder.is_dir():
        return
    new = _new_folder()
    _copy_dependencies(jars.pom, new)
    verify(new, jars.sums)
    new.rename(jars.folder)


def _new_folder() -> Path:
    new = Path(tempfile.mkdtemp(prefix=".new-", dir=JARS_DIR))
    # Jars are no secret: whoever installs may be another user than whoever runs.
    new.chmod(0o755)
    return new


def _copy_dependencies(pom: Path, folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise MillpondError(f"there is no mvn on the PATH; {INSTALL_MAVEN}")
    command = [maven, "-B", "-q", "-f", str(pom), "dependency:copy-dependencies"]
    answer = subprocess.run(
        [*command, f"-DoutputDirectory={folder}"], capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        errors = [line for line in answer.stdout.splitlines() if line.startswith("[ERROR]")]
        raise MillpondError(
            f"Maven could not bring the jars of {pom}: {' '.join(errors[:1])}; check the network "
            "and the mirrors in ~/.m2/settings.xml, and try again"
        )


def _unpack_webapps() -> None:
    if WEBAPPS_DIR.is_dir():
        return
    new = _new_folder()
    (tests_jar,) = HADOOP.folder.glob("hadoop-hdfs-*-tests.jar")
    with zipfile.ZipFile(tests_jar) as archive:
        archive.extractall(new, [n for n in archive.namelist() if n.startswith("webapps/")])
    new.rename(WEBAPPS_DIR)


def refresh_sums() -> None:
    """Bring all jars anew and take their sums as the right ones."""
    for jars in ALL:
        with alone():
            new = _new_folder()
            _copy_dependencies(jars.pom, new)
            write_sums(new, jars.sums)
            shutil.rmtree(jars.folder, ignore_errors=True)
            new.rename(jars.folder)
        sys.stderr.write(f"wrote {jars.sums}\n")
    shutil.rmtree(WEBAPPS_DIR, ignore_errors=True)


if __name__ == "__main__":
    refresh_sums()
