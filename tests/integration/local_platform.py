"""A platform that a test runs against, and the command line that speaks to it."""

import os
import socket
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from millpond.catalog.interactions import TABLES
from millpond.catalog.settings import PORT_OFFSETS, PROJECT_DIR, Settings
from millpond.cluster import postgres
from millpond.cluster.config import venv_bin
from millpond.interactions.ledger import Ledger
from millpond.lake.hdfs import Hdfs
from millpond.lake.tables import StoredTable
from tests.integration.sharing import worker


@dataclass(frozen=True)
class Platform:
    """A running platform and the command line that speaks to it."""

    settings: Settings
    environ: dict[str, str]

    @property
    def data(self) -> Path:
        """Its source files."""
        return Path(self.settings.data_dir)

    @property
    def hdfs(self) -> Hdfs:
        """Its NameNode."""
        return Hdfs(self.settings.hdfs_url)

    def millpond(self, *arguments: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        """What a person's `millpond ...` prints and how it ends."""
        return subprocess.run(
            [venv_bin() / "millpond", *arguments],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def processes(self) -> list[psutil.Process]:
        """Every process that names this platform's folder, but those that this test run started."""
        mine = psutil.Process().children(recursive=True)
        return [p for p in psutil.process_iter() if p not in mine and self._owns(p)]

    def addresses(self) -> list[str]:
        """Where its processes, applications among them, listen."""
        ours = {process.pid for process in self.processes()}
        return [
            connection.laddr.ip
            for connection in psutil.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.pid in ours
        ]

    def _owns(self, process: psutil.Process) -> bool:
        try:
            home = str(self.settings.home)
            return home in process.environ().get("MILLPOND_PART_HOME", "") or home in " ".join(
                process.cmdline()
            )
        except psutil.Error:
            return False


def apart(platform: Platform, name: str) -> Platform:
    """The platform with a root and a ledger of a test's own, of that name, for interactions."""
    here = platform.settings
    postgres.query(here, f"CREATE DATABASE {name} OWNER ledger")
    url, root = here.ledger_url.replace("/ledger?", f"/{name}?"), f"/{name}"
    Ledger(url).create()
    for table in TABLES:
        StoredTable(table, here.hdfs_url, root).create()
    return replace(
        platform,
        settings=replace(here, ledger_url=url, root=root),
        environ={**platform.environ, "MILLPOND_ROOT": root, "MILLPOND_LEDGER_URL": url},
    )


def free_port_base() -> int:
    """The first block of ports that nobody listens on, below those the system hands out.

    Each worker looks in blocks of its own, for two may look at once.
    """
    for base in range(20_000 + 1_000 * worker(), 32_000, 100):
        if all(_is_free(base + offset) for offset in PORT_OFFSETS.values()):
            return base
    raise AssertionError("no block of 100 ports is free below 32000")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def environment(home: Path, port_base: int, data: Path) -> dict[str, str]:
    """A person's environment, pointed at a platform."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("MILLPOND_")}
    return {
        **mine,
        "MILLPOND_HOME": str(home),
        "MILLPOND_PORT_BASE": str(port_base),
        "MILLPOND_DATA_DIR": str(data),
        "MILLPOND_DAGS_DIR": str(dags_dir(home)),
    }


def dags_dir(home: Path) -> Path:
    """The project's DAGs, and those of tests."""
    folder = home / "dags"
    folder.mkdir(exist_ok=True)
    held = PROJECT_DIR / "tests" / "faults" / "held"
    for name, file in {
        **{file.name: file for file in (PROJECT_DIR / "dags").glob("*.py")},
        "held.py": held / "dag.py",
        "held_hours.py": held / "hours.py",
    }.items():
        link = folder / name
        # Left alone where it is right: a DAG without its file, even for a moment, is no DAG.
        if link.resolve() != file:
            link.unlink(missing_ok=True)
            link.symlink_to(file)
    return folder
