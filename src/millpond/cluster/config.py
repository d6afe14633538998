"""The configuration of every part: one function per file that returns its text.

Everything listens on 127.0.0.1, at a port of the platform's block. A value without a reason beside
it is an address, a path or a name.
"""

import base64
import json
import os
import pwd
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape

import psutil

from millpond.catalog.analyses import all_sizes
from millpond.catalog.partitions import Hour
from millpond.catalog.settings import PROJECT_DIR, Settings
from millpond.catalog.sizes import SMALL
from millpond.cluster import jars
from millpond.cluster.java import java_home

LOOPBACK = "127.0.0.1"
# Applications at once, in Airflow's pool and so on YARN: two saturate a small machine.
MOST_APPLICATIONS = 2
# The first compiler alone: a short application ends before the second one pays for itself. The
# serial collector: no threads that fight for two cores.
SHORT_JVM = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
# Spark's classes as a JVM maps them; made by classes.py. A JVM that cannot use it goes on without.
CLASS_ARCHIVE = jars.JARS_DIR / "spark-classes.jsa"


@dataclass(frozen=True)
class Secrets:
    """What Airflow's parts share and nobody else may know."""

    fernet_key: str
    jwt_secret: str
    api_secret_key: str

    @classmethod
    def generate(cls) -> "Secrets":
        """New random ones; the JWT secret is as long as its algorithm's hash, or Airflow warns."""
        return cls(
            fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            jwt_secret=secrets.token_urlsafe(64),
            api_secret_key=secrets.token_urlsafe(32),
        )


def hadoop_conf_dir(settings: Settings) -> Path:
    """HADOOP_CONF_DIR."""
    return settings.home / "conf" / "hadoop"


def spark_conf_dir(settings: Settings) -> Path:
    """SPARK_CONF_DIR."""
    return settings.home / "conf" / "spark"


def airflow_home(settings: Settings) -> Path:
    """AIRFLOW_HOME."""
    return settings.home / "airflow"


def postgres_socket_dir(settings: Settings) -> Path:
    """The folder of PostgreSQL's socket; whoever may enter it may log in."""
    return settings.home / "postgres-socket"


def yarn_local_dir(settings: Settings) -> Path:
    """Where YARN's containers work."""
    return settings.home / "yarn" / "local"


def temporary_dir(settings: Settings) -> Path:
    """Where the parts put what they need for a while."""
    return settings.home / "tmp"


def spark_home() -> Path:
    """The Spark inside pyspark, found without importing it."""
    spec = find_spec("pyspark")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def spark_class_path() -> str:
    """The jars of a Spark JVM, in the order that the archive of their classes wants."""
    return f"{jars.SPARK_EXTRAS.folder}/*:{spark_home()}/jars/*"


def venv_bin() -> Path:
    """Where the programs of this Python environment are."""
    return Path(sys.prefix) / "bin"


def at(settings: Settings, listener: str) -> str:
    """The address of one of the platform's listeners."""
    return f"{LOOPBACK}:{settings.port(listener)}"


def local_hdfs_url(settings: Settings) -> str:
    """The platform's own NameNode, whatever MILLPOND_HDFS_URL says."""
    return f"hdfs://{at(settings, 'namenode-rpc')}"


def first_hour_file(settings: Settings) -> Path:
    """Where `up` keeps the first hour that it has interactions counted of."""
    return settings.home / "interactions-start"


def first_counted_hour(settings: Settings) -> Hour | None:
    """The first hour that interactions are counted of: the setting, or what the first `up` took."""
    file = first_hour_file(settings)
    if settings.interactions_start is None and file.exists():
        return Hour.parse(file.read_text())
    return settings.interactions_start


def os_user() -> str:
    """Who this process is to Hadoop, which asks the system and not LOGNAME."""
    return pwd.getpwuid(os.getuid()).pw_name


def yarn_memory_mb() -> int:
    """What containers may use together: half the machine, and never more than 10 GB of it."""
    return min(10 * 1024, psutil.virtual_memory().total // 2**20 // 2)


def concurrent_applications(memory_mb: int) -> int:
    """How many applications YARN's memory holds at once, whole.

    Of more than it holds, each may get its driver and none an executor, and all wait for ever.
    """
    largest = max(size.total_mb for size in all_sizes())
    return max(1, min(MOST_APPLICATIONS, memory_mb // largest))


def core_site(settings: Settings) -> str:
    """Hadoop's core-site.xml."""
    return hadoop_site(
        {
            "fs.defaultFS": local_hdfs_url(settings),
            "hadoop.tmp.dir": str(settings.home / "hadoop-tmp"),
            # Who the NameNode's pages browse as; its default may read nothing.
            "hadoop.http.staticuser.user": os_user(),
        }
    )


def hdfs_site(settings: Settings) -> str:
    """Hadoop's hdfs-site.xml."""
    return hadoop_site(
        {
            "dfs.namenode.name.dir": (settings.home / "hdfs" / "name").as_uri(),
            "dfs.datanode.data.dir": (settings.home / "hdfs" / "data").as_uri(),
            "dfs.namenode.rpc-address": at(settings, "namenode-rpc"),
            "dfs.namenode.rpc-bind-host": LOOPBACK,
            "dfs.namenode.http-address": at(settings, "namenode-http"),
            "dfs.namenode.http-bind-host": LOOPBACK,
            "dfs.datanode.address": at(settings, "datanode"),
            "dfs.datanode.http.address": at(settings, "datanode-http"),
            "dfs.datanode.ipc.address": at(settings, "datanode-ipc"),
            # WebHDFS redirects writers to this name.
            "dfs.datanode.hostname": LOOPBACK,
            # There is one DataNode.
            "dfs.replication": "1",
            # No other DataNode will come: leave safe mode as soon as this one has reported.
            "dfs.namenode.safemode.min.datanodes": "1",
            "dfs.namenode.safemode.extension": "0",
            # Removes what a restart would otherwise wait for: 127.0.0.1 may have no reverse name.
            "dfs.namenode.datanode.registration.ip-hostname-check": "false",
        }
    )


def yarn_site(settings: Settings, memory_mb: int) -> str:
    """Hadoop's yarn-site.xml."""
    return hadoop_site(
        {
            "yarn.resourcemanager.hostname": LOOPBACK,
            "yarn.resourcemanager.bind-host": LOOPBACK,
            "yarn.resourcemanager.address": at(settings, "yarn-client"),
            "yarn.resourcemanager.scheduler.address": at(settings, "yarn-scheduler"),
            "yarn.resourcemanager.resource-tracker.address": at(settings, "yarn-tracker"),
            "yarn.resourcemanager.admin.address": at(settings, "yarn-admin"),
            "yarn.resourcemanager.webapp.address": at(settings, "yarn-http"),
            "yarn.nodemanager.hostname": LOOPBACK,
            "yarn.nodemanager.bind-host": LOOPBACK,
            "yarn.nodemanager.address": at(settings, "nodemanager"),
            "yarn.nodemanager.localizer.address": at(settings, "nodemanager-localizer"),
            "yarn.nodemanager.webapp.address": at(settings, "nodemanager-http"),
            "yarn.nodemanager.local-dirs": str(yarn_local_dir(settings)),
            "yarn.nodemanager.log-dirs": str(settings.home / "yarn" / "logs"),
            "yarn.nodemanager.resource.memory-mb": str(memory_mb),
            # More than there are cores: small applications mostly wait for one another.
            "yarn.nodemanager.resource.cpu-vcores": "8",
            # The step in which memory is given; the default of 1 GB would round 1.4 GB up to 2.
            "yarn.scheduler.minimum-allocation-mb": "128",
            "yarn.scheduler.maximum-allocation-mb": str(memory_mb),
            # A JVM reserves much more address space than it uses.
            "yarn.nodemanager.vmem-check-enabled": "false",
            # A node at 90 % of a big disk, the default limit, still has room for small data.
            "yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage": "99.5",
            "yarn.log-aggregation-enable": "true",
            "yarn.nodemanager.remote-app-log-dir": "/yarn-logs",
            # Else the script that starts a container is in its logs, and with it its environment.
            "yarn.nodemanager.log-container-debug-info.enabled": "false",
            # Who shows the logs of an application that has ended: the pages of YARN and Spark lead
            # there. It stores nothing itself.
            "yarn.log.server.url": (
                f"http://{at(settings, 'yarn-history-http')}/applicationhistory/logs"
            ),
            "yarn.timeline-service.hostname": LOOPBACK,
            "yarn.timeline-service.bind-host": LOOPBACK,
            "yarn.timeline-service.address": at(settings, "yarn-history"),
            "yarn.timeline-service.webapp.address": at(settings, "yarn-history-http"),
            "yarn.timeline-service.store-class": (
                "org.apache.hadoop.yarn.server.timeline.MemoryTimelineStore"
            ),
            # A killed Spark driver gets time to end its Python child.
            "yarn.nodemanager.sleep-delay-before-sigkill.ms": "5000",
            # Containers are handed out at heartbeats; the default of 1 s is felt at each of them.
            "yarn.resourcemanager.nodemanagers.heartbeat-interval-ms": "250",
            # A second driver of one attempt would publish beside the operator's retry.
            "yarn.resourcemanager.am.max-attempts": "1",
            # A restarted ResourceManager is there in seconds: ask each second, not each 30 s. The
            # NodeManager waits for ever; a client says after a minute that there is none.
            "yarn.nodemanager.resourcemanager.connect.retry-interval.ms": "1000",
            "yarn.nodemanager.resourcemanager.connect.max-wait.ms": "-1",
            "yarn.resourcemanager.connect.retry-interval.ms": "1000",
            "yarn.resourcemanager.connect.max-wait.ms": "60000",
            # A restarted ResourceManager remembers what ran, and operators find their application.
            "yarn.resourcemanager.recovery.enabled": "true",
            "yarn.resourcemanager.store.class": (
                "org.apache.hadoop.yarn.server.resourcemanager.recovery.FileSystemRMStateStore"
            ),
            "yarn.resourcemanager.fs.state-store.uri": (settings.home / "yarn" / "state").as_uri(),
            "yarn.node-attribute.fs-store.root-dir": (settings.home / "yarn" / "nodes").as_uri(),
            # Without Kerberos anybody could submit over HTTP as anybody.
            "yarn.webapp.enable-rest-app-submissions": "false",
            # Containers carry the platform's mark too, so that `down` finds orphaned ones.
            "yarn.nodemanager.admin-env": (
                "MALLOC_ARENA_MAX=$MALLOC_ARENA_MAX,"
                f"MILLPOND_PART=nodemanager:container,MILLPOND_PART_HOME={settings.home}"
            ),
        }
    )


def capacity_scheduler() -> str:
    """YARN's capacity-scheduler.xml, which its jars do not bring."""
    queue = "yarn.scheduler.capacity.root"
    return hadoop_site(
        {
            f"{queue}.queues": "default",
            f"{queue}.default.capacity": "100",
            # On one node the default of 10 % has no room for a single driver.
            "yarn.scheduler.capacity.maximum-am-resource-percent": "1.0",
            # There is no second node to wait for.
            "yarn.scheduler.capacity.node-locality-delay": "-1",
            # Hands containers out between heartbeats as well.
            "yarn.scheduler.capacity.schedule-asynchronously.enable": "true",
        }
    )


def hadoop_log4j() -> str:
    """Hadoop's log4j.properties: everything to standard output, which is the part's log file."""
    return """\
log4j.rootLogger=INFO,stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n
"""


def spark_defaults(settings: Settings) -> str:
    """Spark's spark-defaults.conf: its applications run on YARN and write Delta tables on HDFS."""
    extras = f"{jars.SPARK_EXTRAS.folder}/*"
    history = f"{local_hdfs_url(settings)}/spark-history"
    python = str(venv_bin() / "python")
    spark_jvm = f"{SHORT_JVM} -XX:SharedArchiveFile={CLASS_ARCHIVE}"
    size = SMALL
    values = {
        # Jars that every container reads from this disk; otherwise each submission uploads 462 MB.
        "spark.yarn.jars": f"local:{spark_home()}/jars/*,local:{extras}",
        # Before anything else: an archive of classes is for a class path that begins alike.
        "spark.driver.extraClassPath": spark_class_path(),
        "spark.executor.extraClassPath": spark_class_path(),
        "spark.pyspark.python": python,
        "spark.yarn.appMasterEnv.SPARK_LOCAL_IP": LOOPBACK,
        "spark.executorEnv.SPARK_LOCAL_IP": LOOPBACK,
        # A second attempt would publish beside the operator's retry.
        "spark.yarn.maxAppAttempts": "1",
        # How often the driver asks for its executors: default 3 s, felt in an application of 15 s.
        "spark.yarn.scheduler.heartbeat.interval-ms": "500",
        "spark.yarn.scheduler.initial-allocation.interval": "100ms",
        "spark.driver.memory": f"{size.driver_mb}m",
        "spark.executor.memory": f"{size.executor_mb}m",
        "spark.executor.instances": str(size.executors),
        "spark.executor.cores": str(size.cores),
        "spark.driver.extraJavaOptions": spark_jvm,
        "spark.executor.extraJavaOptions": spark_jvm,
        # One per core; the default of 200 is for hundreds of gigabytes.
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        # A closing file asks again after 10 ms, not 400 ms, whether its block has arrived.
        "spark.hadoop.dfs.client.block.write.locateFollowingBlock.initial.delay.ms": "10",
        # A write that meets a restarting NameNode waits for it: 10 tries, 2 s apart.
        "spark.hadoop.dfs.client.retry.policy.enabled": "true",
        "spark.hadoop.dfs.client.retry.policy.spec": "2000,10",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": history,
        "spark.history.fs.logDirectory": history,
        "spark.history.ui.port": str(settings.port("spark-history")),
        "spark.yarn.historyServer.address": at(settings, "spark-history"),
    }
    return "".join(f"{key} {value}\n" for key, value in values.items())


def airflow_cfg(settings: Settings, secrets_: Secrets) -> str:
    """Airflow's airflow.cfg."""
    home = airflow_home(settings)
    url = f"http://{at(settings, 'airflow')}"
    return _ini(
        {
            "core": {
                "dags_folder": str(settings.dags_dir),
                "plugins_folder": str(PROJECT_DIR / "plugins"),
                "load_examples": "False",
                "executor": "LocalExecutor",
                # One process each, idle or not.
                "parallelism": "8",
                "dags_are_paused_at_creation": "True",
                "auth_manager": (
                    "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
                ),
                "simple_auth_manager_users": f"{settings.airflow_user}:admin",
                "simple_auth_manager_passwords_file": str(passwords_file(settings)),
                "execution_api_server_url": f"{url}/execution/",
                "fernet_key": secrets_.fernet_key,
            },
            "database": {
                "sql_alchemy_conn": (
                    f"postgresql+psycopg2://airflow@/airflow?host={quote(str(postgres_socket_dir(settings)))}"
                ),
                # No asynchronous driver is installed; the one endpoint that wants it is not used.
                "sql_alchemy_conn_async": "",
            },
            "api": {
                "host": LOOPBACK,
                "port": str(settings.port("airflow")),
                "base_url": url,
                "secret_key": secrets_.api_secret_key,
            },
            "api_auth": {"jwt_secret": secrets_.jwt_secret},
            "dag_processor": {
                # A new DAG file is seen after half a minute, not five.
                "refresh_interval": "30",
                # A handful of files; a second parser would only take a core from Spark.
                "parsing_processes": "1",
                # Parsing costs a core for seconds; a changed file is parsed at once all the same.
                "min_file_process_interval": "60",
            },
            "logging": {
                "base_log_folder": str(home / "logs"),
                "dag_processor_child_process_log_directory": str(home / "logs" / "dag_processor"),
                # The parts' own output goes to files.
                "colored_console_log": "False",
                # A line per request says nothing that a failed one does not say better.
                "uvicorn_logging_level": "WARNING",
            },
            "usage_data_collection": {"enabled": "False"},
        }
    )


def passwords_file(settings: Settings) -> Path:
    """Airflow's users and passwords, as JSON."""
    return airflow_home(settings) / "passwords.json"


def settings_environment(settings: Settings) -> dict[str, str]:
    """The MILLPOND_* variables that give these settings back."""
    values = {f.name: getattr(settings, f.name) for f in fields(settings)}
    return {f"MILLPOND_{k.upper()}": str(v) for k, v in values.items() if v is not None}


def hadoop_environment(settings: Settings) -> dict[str, str]:
    """What a Hadoop daemon or command needs."""
    home = java_home()
    programs = (str(venv_bin()), str(home / "bin"), os.environ.get("PATH", ""))
    return {
        "JAVA_HOME": str(home),
        "PATH": os.pathsep.join(programs),
        "HADOOP_CONF_DIR": str(hadoop_conf_dir(settings)),
        "MILLPOND_PORT_BASE": str(settings.port_base),
        # What a killed process leaves behind goes with this folder, and is not found in /tmp.
        "TMPDIR": str(temporary_dir(settings)),
        "JDK_JAVA_OPTIONS": f"-Djava.io.tmpdir={temporary_dir(settings)} -XX:-UsePerfData",
    }


def spark_environment(settings: Settings) -> dict[str, str]:
    """What `spark-submit` needs, beside the caller's own environment."""
    library = spark_home() / "python" / "lib"
    (py4j,) = library.glob("py4j-*-src.zip")
    return {
        **hadoop_environment(settings),
        **settings_environment(settings),
        "SPARK_HOME": str(spark_home()),
        "SPARK_CONF_DIR": str(spark_conf_dir(settings)),
        # Or Spark listens on the machine's first public interface.
        "SPARK_LOCAL_IP": LOOPBACK,
        "PYSPARK_PYTHON": str(venv_bin() / "python"),
        # Containers read PySpark from this disk, as they do the jars.
        "PYSPARK_ARCHIVES_PATH": f"local:{library / 'pyspark.zip'},local:{py4j}",
        # The client that submits is another short-lived JVM.
        "SPARK_SUBMIT_OPTS": SHORT_JVM,
    }


def airflow_environment(settings: Settings) -> dict[str, str]:
    """What Airflow's parts and commands need, beside the caller's own environment."""
    yarn = {
        "deploy-mode": "cluster",
        "queue": "default",
        "yarn_resourcemanager_webapp_address": f"http://{at(settings, 'yarn-http')}",
    }
    webhdfs = {
        "conn_type": "webhdfs",
        "host": LOOPBACK,
        "port": settings.port("namenode-http"),
        "login": os_user(),
    }
    return {
        **spark_environment(settings),
        "AIRFLOW_HOME": str(airflow_home(settings)),
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps(
            {"conn_type": "spark", "host": "yarn", "extra": yarn}
        ),
        "AIRFLOW_CONN_WEBHDFS_DEFAULT": json.dumps(webhdfs),
        # A company's proxy has no way to this machine's own addresses.
        "NO_PROXY": ",".join(filter(None, (os.environ.get("NO_PROXY"), LOOPBACK, "localhost"))),
        # Airflow renames its processes; this keeps their environment readable, and with it the
        # mark by which the platform knows them.
        "SPT_NOENV": "1",
    }


def kafka_conf_dir(settings: Settings) -> Path:
    """Where the broker's files are."""
    return settings.home / "conf" / "kafka"


def kafka_data_dir(settings: Settings) -> Path:
    """Where the broker keeps its topics."""
    return settings.home / "kafka"


def kafka_server_properties(settings: Settings) -> str:
    """Kafka's server.properties: one process that is broker and controller."""
    broker, controller = at(settings, "kafka"), at(settings, "kafka-controller")
    values = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": controller,
        "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": str(kafka_data_dir(settings)),
        # There is one broker.
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # The default of 50 each is for many brokers; each partition is a folder of open files.
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.num.partitions": "1",
        # A misspelt topic is an error, not a new topic with other settings.
        "auto.create.topics.enable": "false",
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


def kafka_log4j() -> str:
    """Kafka's log4j2.properties: everything to standard output, which is the part's log file."""
    return """\
rootLogger.level=INFO
rootLogger.appenderRef.stdout.ref=stdout
appender.stdout.type=Console
appender.stdout.name=stdout
appender.stdout.layout.type=PatternLayout
appender.stdout.layout.pattern=%d{ISO8601} %p %c{1}: %m%n
"""


def write_all(settings: Settings) -> None:
    """Write every file, with the secrets it had before if there are any."""
    hadoop, spark, airflow, kafka = (
        hadoop_conf_dir(settings),
        spark_conf_dir(settings),
        airflow_home(settings),
        kafka_conf_dir(settings),
    )
    for folder in (hadoop, spark, airflow, kafka, temporary_dir(settings)):
        folder.mkdir(parents=True, exist_ok=True)
    write_private(hadoop / "core-site.xml", core_site(settings))
    write_private(hadoop / "hdfs-site.xml", hdfs_site(settings))
    write_private(hadoop / "yarn-site.xml", yarn_site(settings, yarn_memory_mb()))
    write_private(hadoop / "capacity-scheduler.xml", capacity_scheduler())
    write_private(hadoop / "log4j.properties", hadoop_log4j())
    write_private(spark / "spark-defaults.conf", spark_defaults(settings))
    write_private(kafka / "server.properties", kafka_server_properties(settings))
    write_private(kafka / "log4j2.properties", kafka_log4j())
    write_private(airflow / "airflow.cfg", airflow_cfg(settings, _kept_secrets(settings)))
    _keep_password(settings)


def write_private(file: Path, text: str) -> None:
    """Replace a file, readable by its owner alone; a kill midway leaves the old one."""
    new = file.with_name(f".{file.name}.new")
    new.touch(mode=0o600)
    new.write_text(text)
    new.rename(file)


def _kept_secrets(settings: Settings) -> Secrets:
    file = airflow_home(settings) / "secrets.json"
    if not file.exists():
        generated = Secrets.generate()
        write_private(
            file, json.dumps({f.name: getattr(generated, f.name) for f in fields(Secrets)})
        )
    return Secrets(**json.loads(file.read_text()))


def _keep_password(settings: Settings) -> None:
    file = passwords_file(settings)
    passwords = json.loads(file.read_text()) if file.exists() else {}
    if settings.airflow_user not in passwords:
        passwords[settings.airflow_user] = secrets.token_urlsafe(12)
        write_private(file, json.dumps(passwords))


def hadoop_site(properties: Mapping[str, str]) -> str:
    """A file of Hadoop's configuration."""
    rows = (
        f"  <property><name>{name}</name><value>{escape(value)}</value></property>\n"
        for name, value in properties.items()
    )
    return f'<?xml version="1.0"?>\n<configuration>\n{"".join(rows)}</configuration>\n'


def _ini(sections: Mapping[str, Mapping[str, str]]) -> str:
    lines = []
    for section, options in sections.items():
        # A single % would start an interpolation.
        rows = (f"{key} = {value.replace('%', '%%')}\n" for key, value in options.items())
        lines.append(f"[{section}]\n{''.join(rows)}\n")
    return "".join(lines)
