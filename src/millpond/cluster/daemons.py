"""The parts of the platform: for each its command, what it listens on, and when it is healthy."""

import shlex
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from millpond.catalog.settings import Settings
from millpond.cluster import health, jars, kafka, postgres
from millpond.cluster.config import (
    SHORT_JVM,
    airflow_environment,
    at,
    hadoop_conf_dir,
    hadoop_environment,
    spark_conf_dir,
    spark_environment,
    spark_home,
    venv_bin,
)
from millpond.cluster.java import java_home

HADOOP = "org.apache.hadoop"


@dataclass(frozen=True)
class Part:
    """A daemon.

    `listeners` are keys of PORT_OFFSETS; `address` is where a person or a client finds it; `after`
    names the steps of `up` that must be done before it starts; `uses` names the parts that must
    not stop before it.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    address: str
    probe: health.Probe
    log: Path
    listeners: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    stop_signal: signal.Signals = signal.SIGTERM


def parts(settings: Settings) -> tuple[Part, ...]:
    """Every part, in an order in which each comes after those it needs."""
    return (
        _postgres(settings),
        _namenode(settings),
        _datanode(settings),
        _resourcemanager(settings),
        _nodemanager(settings),
        _yarn_history(settings),
        _kafka(settings),
        _customer_service(settings),
        _spark_history(settings),
        *_airflow_parts(settings),
    )


def hadoop_class(settings: Settings, name: str, *options: str) -> tuple[str, ...]:
    """The command that runs one of Hadoop's classes."""
    class_path = f"{hadoop_conf_dir(settings)}:{jars.WEBAPPS_DIR}:{jars.HADOOP.folder}/*"
    return (str(java_home() / "bin" / "java"), *options, "-cp", class_path, f"{HADOOP}.{name}")


def format_command(settings: Settings) -> tuple[str, ...]:
    """Makes the NameNode's folder; refuses if there is one."""
    command = hadoop_class(settings, "hdfs.server.namenode.NameNode", *SHORT_JVM.split())
    return (*command, "-format", "-nonInteractive", "-clusterId", "millpond")


def leave_safe_mode_command(settings: Settings) -> tuple[str, ...]:
    """Ends the NameNode's safe mode by hand."""
    return (*hadoop_class(settings, "hdfs.tools.DFSAdmin"), "-safemode", "leave")


def _postgres(settings: Settings) -> Part:
    return Part(
        name="postgres",
        command=postgres.server_command(settings),
        environment={},
        address=str(postgres.socket_file(settings)),
        probe=lambda _: postgres.why_not_answering(settings),
        log=_log(settings, "postgres"),
        after=("postgres-data",),
        # Ends sessions rather than waiting for them.
        stop_signal=signal.SIGINT,
    )


def _namenode(settings: Settings) -> Part:
    http = _http(settings, "namenode-http")
    return Part(
        name="namenode",
        command=_hadoop_daemon(settings, "hdfs.server.namenode.NameNode", "-Xmx384m"),
        environment=hadoop_environment(settings),
        address=http,
        probe=health.namenode(http, shlex.join(leave_safe_mode_command(settings))),
        log=_log(settings, "namenode"),
        listeners=("namenode-rpc", "namenode-http"),
        after=("namenode-data",),
    )


def _datanode(settings: Settings) -> Part:
    http = _http(settings, "datanode-http")
    return Part(
        name="datanode",
        command=_hadoop_daemon(settings, "hdfs.server.datanode.DataNode", "-Xmx256m"),
        environment=hadoop_environment(settings),
        address=http,
        probe=health.datanode(http),
        log=_log(settings, "datanode"),
        listeners=("datanode", "datanode-http", "datanode-ipc"),
        after=("namenode-data",),
        uses=("namenode",),
    )


def _resourcemanager(settings: Settings) -> Part:
    http = _http(settings, "yarn-http")
    main = "yarn.server.resourcemanager.ResourceManager"
    return Part(
        name="resourcemanager",
        command=_hadoop_daemon(settings, main, "-Xmx512m"),
        environment=hadoop_environment(settings),
        address=http,
        probe=health.resourcemanager(http),
        log=_log(settings, "resourcemanager"),
        listeners=("yarn-client", "yarn-scheduler", "yarn-tracker", "yarn-admin", "yarn-http"),
    )


def _nodemanager(settings: Settings) -> Part:
    http = _http(settings, "nodemanager-http")
    return Part(
        name="nodemanager",
        command=_hadoop_daemon(settings, "yarn.server.nodemanager.NodeManager", "-Xmx384m"),
        environment=hadoop_environment(settings),
        address=http,
        probe=health.nodemanager(http, _http(settings, "yarn-http")),
        log=_log(settings, "nodemanager"),
        listeners=("nodemanager", "nodemanager-localizer", "nodemanager-http"),
        uses=("resourcemanager", "datanode"),
    )


def _yarn_history(settings: Settings) -> Part:
    http = _http(settings, "yarn-history-http")
    main = "yarn.server.applicationhistoryservice.ApplicationHistoryServer"
    return Part(
        name="yarn-history",
        command=_hadoop_daemon(settings, main, "-Xmx192m"),
        environment=hadoop_environment(settings),
        address=http,
        probe=health.answers(f"{http}/ws/v1/timeline"),
        log=_log(settings, "yarn-history"),
        listeners=("yarn-history", "yarn-history-http"),
        after=("folders",),
        uses=("datanode",),
    )


def _hadoop_daemon(settings: Settings, name: str, heap: str) -> tuple[str, ...]:
    return hadoop_class(settings, name, heap, *SHORT_JVM.split())


def _kafka(settings: Settings) -> Part:
    return Part(
        name="kafka",
        command=kafka.server_command(settings),
        environment=hadoop_environment(settings),
        address=at(settings, "kafka"),
        probe=kafka.probe(settings),
        log=_log(settings, "kafka"),
        listeners=("kafka", "kafka-controller"),
        after=("kafka-data",),
    )


def _customer_service(settings: Settings) -> Part:
    http = _http(settings, "customer-service")
    port = str(settings.port("customer-service"))
    requests = settings.home / "customer-service.jsonl"
    python = str(venv_bin() / "python")
    return Part(
        name="customer-service",
        command=(python, "-m", "millpond.reference_service", port, str(requests)),
        environment={},
        address=http,
        probe=health.answers(f"{http}/faults"),
        log=_log(settings, "customer-service"),
        listeners=("customer-service",),
    )


def _spark_history(settings: Settings) -> Part:
    class_path = f"{spark_conf_dir(settings)}:{spark_home()}/jars/*:{hadoop_conf_dir(settings)}"
    main = "org.apache.spark.deploy.history.HistoryServer"
    java = str(java_home() / "bin" / "java")
    http = _http(settings, "spark-history")
    return Part(
        name="spark-history",
        command=(java, "-Xmx512m", *SHORT_JVM.split(), "-cp", class_path, main),
        environment=spark_environment(settings),
        address=http,
        probe=health.answers(f"{http}/api/v1/version"),
        log=_log(settings, "spark-history"),
        listeners=("spark-history",),
        after=("folders",),
        uses=("datanode",),
    )


def _airflow_parts(settings: Settings) -> tuple[Part, ...]:
    return (
        _airflow_part(
            settings,
            "api-server",
            component="metadatabase",
            listeners=("airflow",),
            uses=("postgres",),
        ),
        # Tasks read and write the lake, and tell the API server how they ended. Their logs are
        # read from the disk, so the scheduler's and the triggerer's log servers are not needed.
        _airflow_part(
            settings,
            "scheduler",
            "--skip-serve-logs",
            component="scheduler",
            uses=("postgres", "airflow-api-server", "nodemanager", "kafka", "customer-service"),
        ),
        _airflow_part(settings, "dag-processor", component="dag_processor", uses=("postgres",)),
        _airflow_part(
            settings, "triggerer", "--skip-serve-logs", component="triggerer", uses=("postgres",)
        ),
    )


def _airflow_part(
    settings: Settings,
    command: str,
    *options: str,
    component: str,
    uses: tuple[str, ...],
    listeners: tuple[str, ...] = (),
) -> Part:
    url = _http(settings, "airflow")
    return Part(
        name=f"airflow-{command}",
        command=(str(venv_bin() / "airflow"), command, *options),
        environment=airflow_environment(settings),
        address=url,
        probe=health.airflow_component(url, component),
        log=_log(settings, f"airflow-{command}"),
        listeners=listeners,
        after=("database",),
        uses=uses,
    )


def _http(settings: Settings, listener: str) -> str:
    return f"http://{at(settings, listener)}"


def _log(settings: Settings, name: str) -> Path:
    return settings.home / "logs" / f"{name}.log"
