"""Settings: defaults that hold together, and a sentence for each value that cannot be."""

from pathlib import Path

import pytest

from millpond.catalog.settings import DEFAULT_KEYS, PORT_OFFSETS, PROJECT_DIR, SETTINGS, Settings
from millpond.errors import MillpondError


def test_by_default_everything_is_of_this_project_and_machine() -> None:
    settings = Settings.from_env({})
    assert settings.home == PROJECT_DIR / ".millpond"
    assert settings.data_dir == str(PROJECT_DIR / "include" / "data")
    assert settings.hdfs_url == "hdfs://127.0.0.1:18020"
    assert settings.airflow_url == "http://127.0.0.1:18080"
    assert settings.root == "/millpond"


def test_a_port_base_moves_every_local_address() -> None:
    settings = Settings.from_env({"MILLPOND_PORT_BASE": "23000"})
    assert settings.hdfs_url == f"hdfs://127.0.0.1:{23000 + PORT_OFFSETS['namenode-rpc']}"
    assert settings.yarn_url == f"http://127.0.0.1:{settings.port('yarn-http')}"
    assert settings.history_url == f"http://127.0.0.1:{settings.port('spark-history')}"


def test_no_two_listeners_share_a_port() -> None:
    assert len(set(PORT_OFFSETS.values())) == len(PORT_OFFSETS)
    assert all(0 <= offset < 100 for offset in PORT_OFFSETS.values())


def test_a_cluster_is_named_by_its_own_addresses() -> None:
    settings = Settings.from_env(
        {
            "MILLPOND_HDFS_URL": "hdfs://nameservice1/",
            "MILLPOND_AIRFLOW_URL": "https://data.example/airflow/",
            "MILLPOND_DATA_DIR": "https://data.example/daily",
            "MILLPOND_HOME": "/var/lib/millpond",
        }
    )
    assert settings.hdfs_url == "hdfs://nameservice1"
    assert settings.airflow_url == "https://data.example/airflow"
    assert settings.data_dir == "https://data.example/daily"
    assert settings.airflow_passwords == Path("/var/lib/millpond/airflow/passwords.json")


def test_a_password_in_the_ledgers_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(MillpondError, match=r"has a password in it; .*\.pgpass") as raised:
        Settings.from_env({"MILLPOND_LEDGER_URL": "postgresql+psycopg2://ledger:hush@db/ledger"})
    assert "hush" not in str(raised.value)


PATHS_REMEDY = "give two paths by a comma, such as /getcustomer,/data"
SERVICE_KEYS_REMEDY = (
    "give four different keys by commas, such as firstname,lastname,customerId,intercationNumber"
)
KEYS_REMEDY = f"give five different keys by commas, without quotes, such as {DEFAULT_KEYS}"


@pytest.mark.parametrize(
    ("variable", "value", "remedy"),
    [
        ("MILLPOND_PORT_BASE", "eighty", "give a whole number from 1024 to 65400"),
        ("MILLPOND_PORT_BASE", "80", "give a whole number from 1024 to 65400"),
        ("MILLPOND_PORT_BASE", "65500", "give a whole number from 1024 to 65400"),
        ("MILLPOND_ROOT", "millpond", "give an absolute HDFS path such as /millpond"),
        ("MILLPOND_ROOT", "/mill pond", "give an absolute HDFS path such as /millpond"),
        ("MILLPOND_HDFS_URL", "http://namenode:9870", "give an address such as hdfs://HOST:PORT"),
        ("MILLPOND_HDFS_URL", "hdfs:///millpond", "give an address such as hdfs://HOST:PORT"),
        ("MILLPOND_AIRFLOW_URL", "localhost:8080", "give an address such as http://HOST:PORT"),
        (
            "MILLPOND_INTERACTIONS_TOPIC",
            "an interact",
            "give 1 to 249 letters, digits, dots, underscores, hyphens",
        ),
        ("MILLPOND_INTERACTIONS_START", "2026-11-22", "give an hour as YYYY-MM-DDTHH"),
        ("MILLPOND_INTERACTIONS_KEYS", "a,b,c,d", KEYS_REMEDY),
        ("MILLPOND_INTERACTIONS_KEYS", "a,b,c,d,d", KEYS_REMEDY),
        ("MILLPOND_INTERACTIONS_KEYS", "a,b,c,d,", KEYS_REMEDY),
        ("MILLPOND_INTERACTIONS_KEYS", "a,b,c,d,e'", KEYS_REMEDY),
        ("MILLPOND_SERVICE_PATHS", "/getcustomer", PATHS_REMEDY),
        ("MILLPOND_SERVICE_PATHS", "/getcustomer,data", PATHS_REMEDY),
        ("MILLPOND_SERVICE_KEYS", "a,b,c", SERVICE_KEYS_REMEDY),
        ("MILLPOND_SERVICE_KEYS", "a,b,c,c", SERVICE_KEYS_REMEDY),
        ("MILLPOND_DEPLOYMENT", "Prod_1", "give 1 to 20 lower-case letters and digits"),
    ],
)
def test_an_impossible_value_is_named_with_its_remedy(
    variable: str, value: str, remedy: str
) -> None:
    with pytest.raises(MillpondError) as raised:
        Settings.from_env({variable: value})
    assert str(raised.value) == f"{variable} is {value!r}; {remedy}"


def test_every_variable_that_is_read_is_documented() -> None:
    asked: list[str] = []

    class Recorder(dict[str, str]):
        def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
            asked.append(key)
            return super().get(key, default)

    Settings.from_env(Recorder())
    assert sorted(asked) == sorted(setting.variable for setting in SETTINGS)
