"""An archive of Spark's classes: a JVM maps it instead of reading and verifying class by class.

A short application spends most of its time loading classes. A conforming application in a local
session took 30 and 32 s of processor time without the archive and 19 s with it (one run each, two
busy cores). Making it takes about a minute, once for a set of jars and a Java.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from millpond.catalog.settings import PROJECT_DIR, Settings
from millpond.cluster import jars, processes
from millpond.cluster.config import (
    CLASS_ARCHIVE,
    SHORT_JVM,
    spark_class_path,
    spark_environment,
    spark_home,
    temporary_dir,
)
from millpond.cluster.java import java_home

KEY = CLASS_ARCHIVE.with_suffix(".key")
# What it loads is what the archive will have.
TRAINING = PROJECT_DIR / "src" / "millpond" / "spark" / "training.py"


def archive(settings: Settings, report: Callable[[str], None]) -> None:
    """Have the archive of the jars and the Java that are there now.

    Raises:
        MillpondError: The application that loads the classes failed.
    """
    with jars.alone():
        key = _key()
        if CLASS_ARCHIVE.exists() and KEY.exists() and KEY.read_text() == key:
            return
        report("making an archive of Spark's classes, once for these jars")
        new = CLASS_ARCHIVE.with_suffix(".new")
        new.unlink(missing_ok=True)
        _load_and_dump(settings, new)
        new.rename(CLASS_ARCHIVE)
        KEY.write_text(key)


def _load_and_dump(settings: Settings, file: Path) -> None:
    environment = spark_environment(settings)
    # It runs by itself, whatever the cluster's configuration says.
    for name in ("SPARK_CONF_DIR", "HADOOP_CONF_DIR"):
        del environment[name]
    options = (*SHORT_JVM.split(), "-Xmx1g", f"-XX:ArchiveClassesAtExit={file}", "-Xlog:cds=error")
    java = (str(java_home() / "bin" / "java"), *options, "-cp", spark_class_path())
    submit = ("org.apache.spark.deploy.SparkSubmit", "--master", "local[1]", str(TRAINING))
    log = settings.home / "logs" / "spark-classes.log"
    with tempfile.TemporaryDirectory(dir=temporary_dir(settings)) as folder:
        processes.run("spark-classes", settings.home, (*java, *submit, folder), environment, log)


def _key() -> str:
    """What the JVM compares before it trusts an archive, and how it was made."""
    digest = hashlib.sha256()
    for file in (java_home() / "release", TRAINING):
        digest.update(file.read_bytes())
    for jar in _jars():
        digest.update(f"{jar} {jar.stat().st_size} {jar.stat().st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _jars() -> Iterator[Path]:
    for folder in (jars.SPARK_EXTRAS.folder, spark_home() / "jars"):
        yield from sorted(folder.glob("*.jar"))
