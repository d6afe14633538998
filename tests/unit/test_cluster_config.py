import base64
import configparser
import json
import re
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import psutil
import pytest

from millpond.catalog.analyses import all_sizes
from millpond.catalog.settings import PORT_OFFSETS, Settings
from millpond.catalog.sizes import SMALL
from millpond.cluster import config, daemons
from millpond.cluster.config import Secrets

SECRETS = Secrets(fernet_key="fernet-k%y", jwt_secret="jwt-s%cret", api_secret_key="api-k%y")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_at(tmp_path, 23000)


def settings_at(home: Path, port_base: int) -> Settings:
    return Settings.from_env({"MILLPOND_HOME": str(home), "MILLPOND_PORT_BASE": str(port_base)})


def all_texts(settings: Settings) -> list[str]:
    return [
        config.core_site(settings),
        config.hdfs_site(settings),
        config.yarn_site(settings, 4096),
        config.spark_defaults(settings),
        config.kafka_server_properties(settings),
        config.airflow_cfg(settings, SECRETS),
        *config.airflow_environment(settings).values(),
    ]


def properties(site: str) -> dict[str, str]:
    found = ET.fromstring(site).iter("property")
    return {p.findtext("name", ""): p.findtext("value", "") for p in found}


def spark_values(settings: Settings) -> dict[str, str]:
    lines = config.spark_defaults(settings).splitlines()
    return dict(line.split(" ", maxsplit=1) for line in lines)


def airflow_values(settings: Settings, secrets: Secrets = SECRETS) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read_string(config.airflow_cfg(settings, secrets))
    return parser


def test_every_address_is_loopback(settings: Settings) -> None:
    pattern = r"(?<![\w.-])\d+\.\d+\.\d+\.\d+"  # four numbers that end no file name
    addresses = {found for text in all_texts(settings) for found in re.findall(pattern, text)}
    assert addresses == {"127.0.0.1"}


def test_every_port_is_in_the_block_and_every_listener_has_one(settings: Settings) -> None:
    texts = "\n".join(all_texts(settings))
    ports = {int(port) for port in re.findall(r"127\.0\.0\.1:(\d+)", texts)}
    ports.add(int(airflow_values(settings)["api"]["port"]))
    ports.add(settings.port("customer-service"))  # on its command line
    assert ports == {23000 + offset for offset in PORT_OFFSETS.values()}


def test_each_listener_belongs_to_one_part(settings: Settings) -> None:
    listeners = [name for part in daemons.parts(settings) for name in part.listeners]
    assert sorted(listeners) == sorted(PORT_OFFSETS)


def test_two_platforms_share_no_port(tmp_path: Path) -> None:
    def ports(base: int) -> set[int]:
        return {settings_at(tmp_path, base).port(listener) for listener in PORT_OFFSETS}

    assert ports(23000).isdisjoint(ports(23100))


def test_no_web_server_takes_applications_from_anybody(settings: Settings) -> None:
    yarn = properties(config.yarn_site(settings, 4096))
    assert yarn["yarn.webapp.enable-rest-app-submissions"] == "false"


def test_one_application_fits_into_the_smallest_machine(settings: Settings) -> None:
    yarn = properties(config.yarn_site(settings, 4096))
    step = int(yarn["yarn.scheduler.minimum-allocation-mb"])
    container = 1024 + 384  # the heap, and what Spark adds at least
    assert container % step == 0
    assert SMALL.total_mb == 2 * container <= int(yarn["yarn.nodemanager.resource.memory-mb"])
    assert container <= int(yarn["yarn.scheduler.maximum-allocation-mb"])


@pytest.mark.parametrize("machine_gb", [6, 8, 12, 16, 64])
def test_all_applications_of_the_pool_fit_into_the_queue(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, machine_gb: int
) -> None:
    memory = SimpleNamespace(total=machine_gb * 2**30)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    queue = int(
        properties(config.yarn_site(settings, config.yarn_memory_mb()))[
            "yarn.scheduler.maximum-allocation-mb"
        ]
    )
    slots = config.concurrent_applications(config.yarn_memory_mb())
    largest = sorted((size.total_mb for size in all_sizes()), reverse=True)
    assert sum(largest[:slots]) <= queue
    assert slots == (2 if machine_gb >= 12 else 1)


def test_a_second_attempt_never_starts(settings: Settings) -> None:
    assert spark_values(settings)["spark.yarn.maxAppAttempts"] == "1"
    yarn = properties(config.yarn_site(settings, 4096))
    assert yarn["yarn.resourcemanager.am.max-attempts"] == "1"


def test_containers_carry_the_mark_of_the_platform(settings: Settings) -> None:
    yarn = properties(config.yarn_site(settings, 4096))
    assert f"MILLPOND_PART_HOME={settings.home}" in yarn["yarn.nodemanager.admin-env"].split(",")


def test_names_are_escaped_for_xml() -> None:
    settings = settings_at(Path("/tmp/salt&pepper"), 23000)
    assert properties(config.core_site(settings))["hadoop.tmp.dir"].startswith("/tmp/salt&pepper/")


def test_names_are_escaped_for_airflow() -> None:
    values = airflow_values(settings_at(Path("/tmp/100% dry"), 23000))
    assert values["logging"]["base_log_folder"] == "/tmp/100% dry/airflow/logs"
    assert values["core"]["fernet_key"] == "fernet-k%y"
    assert values["database"]["sql_alchemy_conn"].endswith(
        "?host=/tmp/100%25%20dry/postgres-socket"
    )


def test_airflow_sends_no_usage_data_and_loads_no_examples(settings: Settings) -> None:
    values = airflow_values(settings)
    assert values["usage_data_collection"]["enabled"] == "False"
    assert values["core"]["load_examples"] == "False"


def test_secrets_are_in_no_command_line_and_no_environment(settings: Settings) -> None:
    config.write_all(settings)
    secrets = json.loads((settings.home / "airflow" / "secrets.json").read_text())
    passwords = json.loads(config.passwords_file(settings).read_text())
    visible = [
        text
        for part in daemons.parts(settings)
        for text in (*part.command, *part.environment.values())
    ]
    for secret in (*secrets.values(), *passwords.values()):
        assert not [text for text in visible if secret in text]


def test_secrets_are_kept_and_differ_between_platforms(tmp_path: Path) -> None:
    def write(home: Path) -> tuple[str, str]:
        settings = settings_at(home, 23000)
        config.write_all(settings)
        cfg = settings.home / "airflow" / "airflow.cfg"
        return cfg.read_text(), config.passwords_file(settings).read_text()

    first = write(tmp_path / "one")
    assert write(tmp_path / "one") == first
    assert write(tmp_path / "two")[1] != first[1]


def test_a_new_user_gets_a_password_and_the_others_keep_theirs(tmp_path: Path) -> None:
    environ = {"MILLPOND_HOME": str(tmp_path)}
    config.write_all(Settings.from_env(environ))
    file = config.passwords_file(Settings.from_env(environ))
    before = json.loads(file.read_text())
    config.write_all(Settings.from_env({**environ, "MILLPOND_AIRFLOW_USER": "ann"}))
    after = json.loads(file.read_text())
    assert after["admin"] == before["admin"]
    assert after["ann"] not in ("", before["admin"])


def test_every_written_file_is_private(settings: Settings) -> None:
    config.write_all(settings)
    files = [file for file in settings.home.rglob("*") if file.is_file()]
    assert {file.name for file in files} >= {"airflow.cfg", "spark-defaults.conf", "hdfs-site.xml"}
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}


def test_generated_secrets_are_long_enough() -> None:
    secrets = Secrets.generate()
    assert len(base64.urlsafe_b64decode(secrets.fernet_key)) == 32  # Fernet's key length
    assert len(secrets.jwt_secret.encode()) >= 64  # HS512's output


def test_a_part_sees_the_settings_of_the_platform(tmp_path: Path) -> None:
    environ = {
        "MILLPOND_HOME": str(tmp_path),
        "MILLPOND_PORT_BASE": "23000",
        "MILLPOND_DATA_DIR": "https://data.example/sources",
        "MILLPOND_ROOT": "/other",
        "MILLPOND_DEPLOYMENT": "test1",
    }
    settings = Settings.from_env(environ)
    assert Settings.from_env(config.airflow_environment(settings)) == settings
    assert Settings.from_env(config.spark_environment(settings)) == settings


def test_connections_lead_to_this_platform(settings: Settings) -> None:
    environment = config.airflow_environment(settings)
    spark = json.loads(environment["AIRFLOW_CONN_SPARK_DEFAULT"])
    assert (spark["conn_type"], spark["host"]) == ("spark", "yarn")
    assert spark["extra"]["deploy-mode"] == "cluster"
    assert spark["extra"]["yarn_resourcemanager_webapp_address"] == settings.yarn_url
    webhdfs = json.loads(environment["AIRFLOW_CONN_WEBHDFS_DEFAULT"])
    assert (webhdfs["host"], webhdfs["port"]) == ("127.0.0.1", 23000 + 70)


def test_spark_reads_jars_and_pyspark_from_this_disk(settings: Settings) -> None:
    environment = config.spark_environment(settings)
    locations = [
        *spark_values(settings)["spark.yarn.jars"].split(","),
        *environment["PYSPARK_ARCHIVES_PATH"].split(","),
    ]
    assert len(locations) == 4
    for location in locations:
        scheme, _, path = location.partition(":")
        assert scheme == "local"
        assert Path(path.removesuffix("/*")).is_absolute()
    for archive in environment["PYSPARK_ARCHIVES_PATH"].split(","):
        assert Path(archive.removeprefix("local:")).is_file()


def test_the_programs_of_this_environment_come_first(settings: Settings) -> None:
    first = config.spark_environment(settings)["PATH"].split(":")[0]
    assert (Path(first) / "spark-submit").is_file()
    assert (Path(first) / "airflow").is_file()


def test_local_requests_pass_no_proxy(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    exempt = config.airflow_environment(settings)["NO_PROXY"]
    assert exempt == "intranet.example,127.0.0.1,localhost"
