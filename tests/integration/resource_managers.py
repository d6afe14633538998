"""Two real ResourceManagers of one cluster, of which one is active: over https, without a node."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from millpond.catalog.settings import PORT_OFFSETS, Settings
from millpond.cluster import jars, processes
from millpond.cluster.config import (
    SHORT_JVM,
    capacity_scheduler,
    hadoop_conf_dir,
    hadoop_environment,
    hadoop_log4j,
    hadoop_site,
    temporary_dir,
)
from millpond.cluster.daemons import hadoop_class
from tests.integration.local_platform import free_port_base
from tests.ledger.servers import certificate_of
from tests.waiting import HANGS_SECONDS

RM1, RM2 = "rm1", "rm2"
WEB = "webapp.https.address"
LISTENERS = ("address", "scheduler.address", "resource-tracker.address", "admin.address", WEB)
DAEMON = "yarn.server.resourcemanager.ResourceManager"
# Of a key that lives as long as the test.
PASSWORD = "of-a-test"


class Pair:
    """Both of them, in a folder and on ports of their own.

    `authority` is the file of who signed their certificate, which is for `localhost` alone.
    """

    def __init__(self, home: Path) -> None:
        self.settings = Settings.from_env({"MILLPOND_HOME": str(home)})
        base = free_port_base()
        ports = (base + offset for offset in PORT_OFFSETS.values())
        # A standby leads to the name that is configured here; of a number it looks the name up.
        self._addresses = {
            f"yarn.resourcemanager.{listener}.{id_}": f"localhost:{next(ports)}"
            for id_ in (RM1, RM2)
            for listener in LISTENERS
        }
        self.authority = certificate_of("DNS:authority", _folder(home / "authority"))
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(self.authority)
        self._configure()

    def _configure(self) -> None:
        _folder(temporary_dir(self.settings))
        files = {
            "yarn-site.xml": hadoop_site(self._yarn()),
            "ssl-server.xml": hadoop_site(self._tls()),
            "capacity-scheduler.xml": capacity_scheduler(),
            "log4j.properties": hadoop_log4j(),
        }
        conf = _folder(hadoop_conf_dir(self.settings))
        for name, text in files.items():
            (conf / name).write_text(text)

    def _yarn(self) -> dict[str, str]:
        home = self.settings.home
        return {
            **self._addresses,
            "yarn.http.policy": "HTTPS_ONLY",
            "yarn.resourcemanager.cluster-id": "of-a-test",
            "yarn.resourcemanager.ha.enabled": "true",
            "yarn.resourcemanager.ha.rm-ids": f"{RM1},{RM2}",
            # The test decides who is active, and not ZooKeeper.
            "yarn.resourcemanager.ha.automatic-failover.enabled": "false",
            # Both know what was submitted to either.
            "yarn.resourcemanager.recovery.enabled": "true",
            "yarn.resourcemanager.store.class": (
                "org.apache.hadoop.yarn.server.resourcemanager.recovery.FileSystemRMStateStore"
            ),
            "yarn.resourcemanager.fs.state-store.uri": (home / "state").as_uri(),
            "yarn.node-attribute.fs-store.root-dir": (home / "nodes").as_uri(),
        }

    def _tls(self) -> dict[str, str]:
        home = self.settings.home
        certificate = certificate_of("DNS:localhost", home, self.authority)
        keystore = home / "server.p12"
        keystore.touch(0o600)
        command = ["openssl", "pkcs12", "-export", "-in", str(certificate), "-out", str(keystore)]
        subprocess.run([*command, "-passout", f"pass:{PASSWORD}"], check=True)
        return {
            "ssl.server.keystore.location": str(keystore),
            "ssl.server.keystore.type": "PKCS12",
            "ssl.server.keystore.password": PASSWORD,
            "ssl.server.keystore.keypassword": PASSWORD,
        }

    def url(self, id_: str) -> str:
        """Where its REST is."""
        return f"https://{self._addresses[f'yarn.resourcemanager.{WEB}.{id_}']}"

    def have_active(self, active: str | None) -> None:
        """Have that one be active, or neither; both run, whoever was killed."""
        for id_ in (RM1, RM2):
            if id_ not in processes.main_processes(self.settings.home):
                self._start(id_)
        for id_ in (RM1, RM2):
            self._wait_until_it_answers(id_)
            if id_ != active and self._state(id_) == "ACTIVE":
                self._administer("-transitionToStandby", id_)
        if active and self._state(active) != "ACTIVE":
            self.promote(active)

    def promote(self, id_: str) -> None:
        """Have it be active, without asking what became of the other."""
        self._administer("-transitionToActive", "--forceactive", id_)

    def kill(self, id_: str) -> None:
        """End it at once, as a power cut would."""
        process = processes.main_processes(self.settings.home)[id_]
        process.kill()
        process.wait(10)

    def stop(self) -> None:
        """End both."""
        processes.end_all(found.process for found in processes.marked(self.settings.home))

    def submit(self, id_: str) -> str:
        """The id of a new application at the active one, which waits for a node for ever."""
        apps = f"{self.url(id_)}/ws/v1/cluster/apps"
        new: str = self._session.post(f"{apps}/new-application").json()["application-id"]
        application = {
            "application-id": new,
            "application-name": "waits",
            "application-type": "TEST",
            "am-container-spec": {"commands": {"command": "true"}},
        }
        self._session.post(apps, json=application).raise_for_status()
        return new

    def _start(self, id_: str) -> None:
        command = hadoop_class(self.settings, DAEMON, "-Xmx256m", *SHORT_JVM.split())
        processes.start(
            id_,
            self.settings.home,
            (*command, "-D", f"yarn.resourcemanager.ha.id={id_}"),
            hadoop_environment(self.settings),
            self._log(id_),
        )

    @retry(
        retry=retry_if_exception_type(requests.ConnectionError),
        wait=wait_fixed(0.1),
        stop=stop_after_delay(HANGS_SECONDS),
        reraise=True,
    )
    def _wait_until_it_answers(self, id_: str) -> None:
        running = processes.main_processes(self.settings.home)
        assert id_ in running, processes.ending(self._log(id_))
        self._state(id_)

    def _state(self, id_: str) -> str:
        info = self._session.get(f"{self.url(id_)}/ws/v1/cluster/info").json()
        return str(info["clusterInfo"]["haState"])

    def _administer(self, *arguments: str) -> None:
        command = hadoop_class(self.settings, "yarn.client.cli.RMAdminCLI", *SHORT_JVM.split())
        environment = hadoop_environment(self.settings)
        home = self.settings.home
        processes.run("rmadmin", home, (*command, *arguments), environment, self._log("rmadmin"))

    def _log(self, name: str) -> Path:
        return self.settings.home / "logs" / f"{name}.log"


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


@contextmanager
def two(home: Path) -> Iterator[Pair]:
    """Both, while the block lasts."""
    jars.ensure(lambda _: None)
    pair = Pair(home)
    try:
        yield pair
    finally:
        pair.stop()
