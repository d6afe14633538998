"""The settings: environment variables with default and meaning, read into one frozen value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from millpond.errors import MillpondError

PROJECT_DIR = Path(__file__).resolve().parents[3]

# Offset of each listener from MILLPOND_PORT_BASE; the last two digits are those of its usual port
# where no other listener has them.
PORT_OFFSETS = {
    "yarn-history": 0,
    "namenode-rpc": 20,
    "yarn-scheduler": 30,
    "yarn-tracker": 31,
    "yarn-client": 32,
    "yarn-admin": 33,
    "nodemanager-localizer": 40,
    "nodemanager": 41,
    "nodemanager-http": 42,
    "datanode-http": 64,
    "datanode": 66,
    "datanode-ipc": 67,
    "namenode-http": 70,
    "airflow": 80,
    "spark-history": 81,
    "yarn-http": 88,
    "yarn-history-http": 89,
}


@dataclass(frozen=True)
class Setting:
    """One environment variable; `default` is how the reference shows it."""

    variable: str
    default: str
    meaning: str


SETTINGS = (
    Setting(
        "MILLPOND_HOME", ".millpond", "folder of the local platform: data, configuration, logs"
    ),
    Setting("MILLPOND_PORT_BASE", "18000", "first of the local platform's block of 100 ports"),
    Setting("MILLPOND_DATA_DIR", "include/data", "source files: a folder or an http(s):// base"),
    Setting("MILLPOND_APPS_DIR", "spark_apps", "folder of the Spark applications"),
    Setting("MILLPOND_ROOT", "/millpond", "root of all zones on HDFS"),
    Setting("MILLPOND_DEPLOYMENT", "local", "tells this platform's YARN applications from others'"),
    Setting("MILLPOND_HDFS_URL", "hdfs://127.0.0.1:<base+20>", "the NameNode, or a nameservice"),
    Setting("MILLPOND_YARN_URL", "http://127.0.0.1:<base+88>", "the ResourceManager's web address"),
    Setting("MILLPOND_HISTORY_URL", "http://127.0.0.1:<base+81>", "the Spark history server"),
    Setting("MILLPOND_AIRFLOW_URL", "http://127.0.0.1:<base+80>", "Airflow's REST API and pages"),
    Setting("MILLPOND_AIRFLOW_USER", "admin", "who `millpond run` is in Airflow"),
    Setting(
        "MILLPOND_AIRFLOW_PASSWORDS",
        "<home>/airflow/passwords.json",
        "JSON file (mode 0600) of user names and passwords",
    ),
)


@dataclass(frozen=True)
class Settings:
    """Where this platform is; see SETTINGS for the meaning of each value."""

    home: Path
    port_base: int
    data_dir: str
    apps_dir: Path
    root: str
    deployment: str
    hdfs_url: str
    yarn_url: str
    history_url: str
    airflow_url: str
    airflow_user: str
    airflow_passwords: Path

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the settings.

        Raises:
            MillpondError: A value cannot be what it must be; the sentence names it.
        """
        base = _port_base(environ.get("MILLPOND_PORT_BASE", "18000"))
        home = Path(environ.get("MILLPOND_HOME", PROJECT_DIR / ".millpond")).resolve()
        data_dir = environ.get("MILLPOND_DATA_DIR", str(PROJECT_DIR / "include" / "data"))

        def address(variable: str, scheme: str, listener: str) -> str:
            local = f"{scheme}://127.0.0.1:{base + PORT_OFFSETS[listener]}"
            return _address(variable, environ.get(variable, local), scheme)

        return cls(
            home=home,
            port_base=base,
            data_dir=data_dir if "://" in data_dir else str(Path(data_dir).resolve()),
            apps_dir=Path(environ.get("MILLPOND_APPS_DIR", PROJECT_DIR / "spark_apps")).resolve(),
            root=_root(environ.get("MILLPOND_ROOT", "/millpond")),
            deployment=_deployment(environ.get("MILLPOND_DEPLOYMENT", "local")),
            hdfs_url=address("MILLPOND_HDFS_URL", "hdfs", "namenode-rpc"),
            yarn_url=address("MILLPOND_YARN_URL", "http", "yarn-http"),
            history_url=address("MILLPOND_HISTORY_URL", "http", "spark-history"),
            airflow_url=address("MILLPOND_AIRFLOW_URL", "http", "airflow"),
            airflow_user=environ.get("MILLPOND_AIRFLOW_USER", "admin"),
            airflow_passwords=Path(
                environ.get("MILLPOND_AIRFLOW_PASSWORDS", home / "airflow" / "passwords.json")
            ),
        )

    def port(self, listener: str) -> int:
        """The port of one of the local platform's listeners (a key of PORT_OFFSETS)."""
        return self.port_base + PORT_OFFSETS[listener]


def _port_base(text: str) -> int:
    if not text.isdecimal() or not 1024 <= int(text) <= 65400:
        raise MillpondError(
            f"MILLPOND_PORT_BASE is {text!r}; give a whole number from 1024 to 65400"
        )
    return int(text)


def _address(variable: str, text: str, scheme: str) -> str:
    if not re.match(rf"{scheme}s?://[^/\s]", text):
        raise MillpondError(f"{variable} is {text!r}; give an address such as {scheme}://HOST:PORT")
    return text.rstrip("/")


def _root(text: str) -> str:
    if not re.fullmatch(r"(/[\w.-]+)+", text):
        raise MillpondError(
            f"MILLPOND_ROOT is {text!r}; give an absolute HDFS path such as /millpond"
        )
    return text


def _deployment(text: str) -> str:
    # It becomes part of a YARN tag, which is lower case and under 100 characters.
    if not re.fullmatch(r"[a-z0-9]{1,20}", text):
        raise MillpondError(
            f"MILLPOND_DEPLOYMENT is {text!r}; give 1 to 20 lower-case letters and digits"
        )
    return text
