"""The Kafka broker: one process of Maven's jars, formatted once, reached on 127.0.0.1 alone."""

import base64
import uuid

import psutil
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from millpond.catalog.settings import Settings
from millpond.cluster import jars, processes
from millpond.cluster.config import (
    SHORT_JVM,
    at,
    hadoop_environment,
    kafka_conf_dir,
    kafka_data_dir,
)
from millpond.cluster.health import ANSWER_SECONDS, Probe
from millpond.cluster.java import java_home
from millpond.interactions.broker import quiet_client


def server_command(settings: Settings) -> tuple[str, ...]:
    """The broker."""
    # 512 MB were enough for 300,000 messages a second.
    return (*_java(settings, "-Xmx512m", "kafka.Kafka"), str(_properties(settings)))


def initialise(settings: Settings) -> None:
    """Format the broker's folder, unless it is."""
    if (kafka_data_dir(settings) / "meta.properties").exists():
        return
    options = ["-t", _new_cluster_id(), "-c", _properties(settings), "--standalone"]
    command = [*_java(settings, "-Xmx128m", "kafka.tools.StorageTool"), "format", *options]
    processes.run(
        "kafka",
        settings.home,
        # What a killed format left is formatted already.
        [*map(str, command), "--ignore-formatted"],
        hadoop_environment(settings),
        settings.home / "logs" / "kafka.log",
    )


def probe(settings: Settings) -> Probe:
    """Healthy once the broker names itself to clients."""
    servers = at(settings, "kafka")

    def why_unhealthy(_: psutil.Process) -> str | None:
        try:
            known = AdminClient(quiet_client(servers)).list_topics(timeout=ANSWER_SECONDS)
        except KafkaException as error:
            return f"{servers} does not answer ({error.args[0].str()})"
        return None if known.brokers else "the controller does not count it yet"

    return why_unhealthy


def _java(settings: Settings, heap: str, main: str) -> tuple[str, ...]:
    log4j = f"-Dlog4j2.configurationFile={kafka_conf_dir(settings) / 'log4j2.properties'}"
    java = str(java_home() / "bin" / "java")
    return (java, heap, *SHORT_JVM.split(), log4j, "-cp", f"{jars.KAFKA.folder}/*", main)


def _properties(settings: Settings) -> str:
    return str(kafka_conf_dir(settings) / "server.properties")


def _new_cluster_id() -> str:
    """A random id as Kafka writes it: 16 bytes in 22 characters, the first not a hyphen."""
    while (id_ := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[:22]).startswith("-"):
        pass
    return id_
