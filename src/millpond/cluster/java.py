"""The Java that runs the daemons and Spark: found, and new enough."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from millpond.errors import MillpondError

# Spark 4.2 and Hadoop 3.5 are compiled for it.
OLDEST_JAVA = 17
INSTALL_JAVA = "sudo apt-get install openjdk-17-jdk-headless"


def java_home() -> Path:
    """The folder of the Java installation: JAVA_HOME, or that of the `java` on the PATH.

    Raises:
        MillpondError: There is none.
    """
    if home := os.environ.get("JAVA_HOME"):
        if not (Path(home) / "bin" / "java").exists():
            raise MillpondError(
                f"JAVA_HOME is {home}, which has no bin/java; correct it, or unset it to use the "
                "java on the PATH"
            )
        return Path(home)
    java = shutil.which("java")
    if java is None:
        raise MillpondError(f"there is no java on the PATH; {INSTALL_JAVA}")
    return Path(java).resolve().parents[1]


def java_version(text: str) -> int:
    """The major version in the output of `java -version`; 8 for Java 1.8.

    Raises:
        MillpondError: There is no version in it.
    """
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    if found is None:
        raise MillpondError(
            f"`java -version` printed {text.strip()[:80]!r}, which has no version; {INSTALL_JAVA}"
        )
    return int(found[1])


def require_java() -> int:
    """The major version of the Java that will be used.

    Raises:
        MillpondError: There is none, or it is too old.
    """
    java = java_home() / "bin" / "java"
    version = java_version(_printed_version(java))
    if version < OLDEST_JAVA:
        raise MillpondError(
            f"{java} is Java {version}, and Spark needs {OLDEST_JAVA} or newer; {INSTALL_JAVA}, "
            "and set JAVA_HOME to it"
        )
    return version


def _printed_version(java: Path) -> str:
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    except OSError as error:
        raise MillpondError(
            f"{java} cannot be run ({error.strerror}); {INSTALL_JAVA}, and set JAVA_HOME to it"
        ) from error
    return answer.stderr
