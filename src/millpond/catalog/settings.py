"""The settings: environment variables with default and meaning, read into one frozen value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from millpond.catalog.partitions import Hour
from millpond.errors import MillpondError

PROJECT_DIR = Path(__file__).resolve().parents[3]

DEFAULT_KEYS = "idClient,nom,prénom,date de naissance,lieu de naissance"
# `intercationNumber` is how the service spells it.
DEFAULT_SERVICE_PATHS = "/getcustomer,/data"
DEFAULT_SERVICE_KEYS = "firstname,lastname,customerId,intercationNumber"

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
    "customer-service": 90,
    "kafka": 92,
    "kafka-controller": 93,
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
    Setting("MILLPOND_DAGS_DIR", "dags", "folder of the DAGs that the local platform runs"),
    Setting("MILLPOND_ROOT", "/millpond", "root of all zones on HDFS"),
    Setting("MILLPOND_DEPLOYMENT", "local", "tells this platform's YARN applications from others'"),
    Setting("MILLPOND_HDFS_URL", "hdfs://127.0.0.1:<base+20>", "the NameNode, or a nameservice"),
    Setting(
        "MILLPOND_YARN_URL",
        "http://127.0.0.1:<base+88>",
        "the ResourceManager's web address, or those of several by commas: the active one answers. "
        "Give hosts with a dot: Airflow's log makes no links of others",
    ),
    Setting(
        "MILLPOND_YARN_CA",
        "",
        "PEM file of the authorities that sign YARN's https:// certificates; without it those that "
        "come with Python's `requests`",
    ),
    Setting(
        "MILLPOND_YARN_SILENCE",
        "120",
        "for how many seconds a task bears a ResourceManager that does not answer, and an HDFS "
        "that is away when its application ends",
    ),
    Setting("MILLPOND_HISTORY_URL", "http://127.0.0.1:<base+81>", "the Spark history server"),
    Setting("MILLPOND_AIRFLOW_URL", "http://127.0.0.1:<base+80>", "Airflow's REST API and pages"),
    Setting("MILLPOND_AIRFLOW_USER", "admin", "who `millpond run` is in Airflow"),
    Setting(
        "MILLPOND_AIRFLOW_PASSWORDS",
        "<home>/airflow/passwords.json",
        "JSON file (mode 0600) of user names and passwords",
    ),
    Setting("MILLPOND_KAFKA_SERVERS", "127.0.0.1:<base+92>", "Kafka's brokers, by commas"),
    Setting(
        "MILLPOND_LEDGER_URL",
        "postgresql+psycopg2://ledger@/ledger?host=<home>/postgres-socket",
        "the ledger's database, without a password: libpq reads that from ~/.pgpass (mode 0600)",
    ),
    Setting("MILLPOND_INTERACTIONS_TOPIC", "interact", "the topic of interactions"),
    Setting(
        "MILLPOND_INTERACTIONS_KEYS",
        DEFAULT_KEYS,
        "JSON keys of a message: the customer's id, last name, first name, birth date, birth place",
    ),
    Setting(
        "MILLPOND_INTERACTIONS_START",
        "",
        "the first hour to count, as YYYY-MM-DDTHH; without it the hour of the earliest message. "
        "The local platform takes the full hour before its first `up`",
    ),
    Setting(
        "MILLPOND_SERVICE_PATHS",
        DEFAULT_SERVICE_PATHS,
        "paths of the customer service: to ask for an id, to post a count. Its address and "
        "password are Airflow's connection `customer_service`",
    ),
    Setting(
        "MILLPOND_SERVICE_KEYS",
        DEFAULT_SERVICE_KEYS,
        "JSON keys of its bodies: first name, last name, the customer's id, the count",
    ),
    Setting(
        "MILLPOND_INTERACTIONS_PERSON_KEY",
        "<home>/interactions-person-key",
        "file (mode 0600) of the key under which persons are hashed; made when it is first needed",
    ),
)


@dataclass(frozen=True)
class Settings:
    """Where this platform is; see SETTINGS for the meaning of each value."""

    home: Path
    port_base: int
    data_dir: str
    apps_dir: Path
    dags_dir: Path
    root: str
    deployment: str
    hdfs_url: str
    yarn_url: str
    yarn_ca: Path | None
    yarn_silence: int
    history_url: str
    airflow_url: str
    airflow_user: str
    airflow_passwords: Path
    kafka_servers: str
    ledger_url: str
    interactions_topic: str
    interactions_keys: str
    interactions_start: Hour | None
    service_paths: str
    service_keys: str
    interactions_person_key: Path

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
            dags_dir=Path(environ.get("MILLPOND_DAGS_DIR", PROJECT_DIR / "dags")).resolve(),
            root=_root(environ.get("MILLPOND_ROOT", "/millpond")),
            deployment=_deployment(environ.get("MILLPOND_DEPLOYMENT", "local")),
            hdfs_url=address("MILLPOND_HDFS_URL", "hdfs", "namenode-rpc"),
            yarn_url=address("MILLPOND_YARN_URL", "http", "yarn-http"),
            yarn_ca=_file("MILLPOND_YARN_CA", environ.get("MILLPOND_YARN_CA", "")),
            yarn_silence=_seconds(
                "MILLPOND_YARN_SILENCE", environ.get("MILLPOND_YARN_SILENCE", "120")
            ),
            history_url=address("MILLPOND_HISTORY_URL", "http", "spark-history"),
            airflow_url=address("MILLPOND_AIRFLOW_URL", "http", "airflow"),
            airflow_user=environ.get("MILLPOND_AIRFLOW_USER", "admin"),
            airflow_passwords=Path(
                environ.get("MILLPOND_AIRFLOW_PASSWORDS", home / "airflow" / "passwords.json")
            ),
            kafka_servers=environ.get(
                "MILLPOND_KAFKA_SERVERS", f"127.0.0.1:{base + PORT_OFFSETS['kafka']}"
            ),
            ledger_url=_ledger_url(
                environ.get(
                    "MILLPOND_LEDGER_URL",
                    f"postgresql+psycopg2://ledger@/ledger?host={quote(str(home))}/postgres-socket",
                )
            ),
            interactions_topic=_topic(environ.get("MILLPOND_INTERACTIONS_TOPIC", "interact")),
            interactions_keys=_keys(environ.get("MILLPOND_INTERACTIONS_KEYS", DEFAULT_KEYS)),
            interactions_start=_hour(environ.get("MILLPOND_INTERACTIONS_START", "")),
            service_paths=_paths(environ.get("MILLPOND_SERVICE_PATHS", DEFAULT_SERVICE_PATHS)),
            service_keys=_service_keys(environ.get("MILLPOND_SERVICE_KEYS", DEFAULT_SERVICE_KEYS)),
            interactions_person_key=Path(
                environ.get("MILLPOND_INTERACTIONS_PERSON_KEY", home / "interactions-person-key")
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


def _file(variable: str, text: str) -> Path | None:
    if text and not Path(text).is_file():
        raise MillpondError(f"{variable} is {text!r}, which is no file; give the path of one")
    return Path(text).resolve() if text else None


def _seconds(variable: str, text: str) -> int:
    if not text.isdecimal():
        raise MillpondError(f"{variable} is {text!r}; give a whole number of seconds")
    return int(text)


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


def _ledger_url(text: str) -> str:
    # It is handed on in environments, which others of the same user can read.
    if urlsplit(text).password is not None:
        raise MillpondError(
            "MILLPOND_LEDGER_URL has a password in it; leave it out, and put it in ~/.pgpass "
            "(mode 0600)"
        )
    return text


def _topic(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", text):
        raise MillpondError(
            f"MILLPOND_INTERACTIONS_TOPIC is {text!r}; give 1 to 249 letters, digits, dots, "
            "underscores, hyphens"
        )
    return text


def _keys(text: str) -> str:
    # A quote or a backslash would end a path into the JSON.
    names = re.findall(r"(?:^|(?<=,))[^,'\"\\\x00-\x1f]+(?=,|$)", text)
    if ",".join(names) != text or len(set(names)) != 5:
        raise MillpondError(
            f"MILLPOND_INTERACTIONS_KEYS is {text!r}; give five different keys by commas, without "
            f"quotes, such as {DEFAULT_KEYS}"
        )
    return text


def _paths(text: str) -> str:
    if not re.fullmatch(r"/[!-+\--~]*,/[!-+\--~]*", text):
        raise MillpondError(
            f"MILLPOND_SERVICE_PATHS is {text!r}; give two paths by a comma, such as "
            f"{DEFAULT_SERVICE_PATHS}"
        )
    return text


def _service_keys(text: str) -> str:
    names = [name for name in text.split(",") if name]
    if ",".join(names) != text or len(set(names)) != 4:
        raise MillpondError(
            f"MILLPOND_SERVICE_KEYS is {text!r}; give four different keys by commas, such as "
            f"{DEFAULT_SERVICE_KEYS}"
        )
    return text


def _hour(text: str) -> Hour | None:
    try:
        return Hour.parse(text) if text else None
    except ValueError:
        raise MillpondError(
            f"MILLPOND_INTERACTIONS_START is {text!r}; give an hour as YYYY-MM-DDTHH"
        ) from None
