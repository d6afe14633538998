"""Adding an analysis takes the four steps of CONTRIBUTING and nothing else."""

import json
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from millpond.catalog.datasets import RATINGS
from millpond.catalog.settings import PROJECT_DIR
from millpond.cluster.config import spark_environment, venv_bin
from millpond.lake.receipts import Receipts
from millpond.run import Run
from tests.integration.local_platform import Platform
from tests.integration.test_applications import publish

DECLARATION = """
ACTIVE_USERS = Analysis(
    name="active_users",
    question="How many movies has each user rated?",
    inputs=("ratings",),
    columns=(
        Column("user_id", "int", "the user"),
        Column("movies", "bigint", "number of movies rated"),
    ),
    order=("-movies", "user_id"),
    chart=("user_id", "movies"),
    expectations=(Expectation("fewest", "min(movies)", minimum=1),),
)

ANALYSES = (
    ACTIVE_USERS,
"""
APPLICATION = '''"""How many movies has each user rated?

Counted: each movie once per user, however often it was rated. A user without ratings has no row.
"""

import sys

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from millpond.catalog.analyses import ACTIVE_USERS
from millpond.spark.job import Job, execute


def count_movies(ratings: DataFrame) -> DataFrame:
    """user_id, movies: the number of movies each user has rated."""
    return ratings.groupBy("user_id").agg(F.countDistinct("movie_id").alias("movies"))


def main(job: Job) -> None:
    """Read the clean ratings, count, publish."""
    job.publish(ACTIVE_USERS.mart, count_movies(job.read_clean("ratings")))


if __name__ == "__main__":
    execute(ACTIVE_USERS.mart, main, sys.argv[1:])
'''
TEST = """
from pyspark.sql import SparkSession

from spark_apps.active_users import count_movies


def test_a_movie_counts_once_per_user(spark: SparkSession) -> None:
    rated = [(1, 10), (1, 10), (1, 11), (2, 10)]
    ratings = spark.createDataFrame(rated, "user_id int, movie_id int")
    counted = {row.user_id: row.movies for row in count_movies(ratings).collect()}
    assert counted == {1: 1 + 1, 2: 1}
"""
# What other tests may have set to reach the platform.
OF_THE_PLATFORM = ("MILLPOND_", "AIRFLOW", "SPARK_", "PYSPARK_", "HADOOP_")
# The tests of what is built from the catalogue, and the new one.
TESTS = (
    *("tests/unit/test_catalog.py", "tests/unit/test_reference.py"),
    *("tests/dags/test_conventions.py", "tests/dags/test_golden_commands.py"),
    "tests/spark/test_active_users.py",
)


def insert(file: Path, before: str, text: str) -> None:
    content = file.read_text()
    assert content.count(before) == 1, f"{file}: {before!r}"
    file.write_text(content.replace(before, text))


class Copy:
    """A copy of the project, whose library comes before the installed one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info")
        shutil.copytree(PROJECT_DIR, folder, ignore=ignored, dirs_exist_ok=True)
        # The environment is there already: what `make` would ask for is newer than all else.
        (folder / ".venv").mkdir()
        (folder / ".venv" / ".complete").touch()

    def run(self, *command: str | Path, **environ: str) -> str:
        mine = {k: v for k, v in os.environ.items() if not k.startswith(OF_THE_PLATFORM)}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**mine, **environ, "PYTHONPATH": str(self.folder / "src")},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def widened(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    """The project after the four steps."""
    copy = Copy(tmp_path_factory.mktemp("project"))
    # 1. Declare it.
    insert(copy.folder / "src/millpond/catalog/analyses.py", "\nANALYSES = (\n", DECLARATION)
    # 2. Write the application.
    (copy.folder / "spark_apps/active_users.py").write_text(APPLICATION)
    # 3. Test it.
    (copy.folder / "tests/spark/test_active_users.py").write_text(TEST)
    # 4. `make golden docs`, and a row in the README.
    copy.run("make", f"BIN={venv_bin()}", "golden", "docs")
    header = "| analysis | question |\n|---|---|\n"
    row = "| `active_users` | How many movies has each user rated? |\n"
    insert(copy.folder / "README.md", header, header + row)
    return copy


def test_all_that_is_built_from_the_catalogue_has_it(widened: Copy) -> None:
    widened.run(venv_bin() / "pytest", "-q", *TESTS)
    widened.run(venv_bin() / "ruff", "check", "spark_apps", "src")
    golden = widened.folder / "tests/dags/golden/daily_analytics.analyse.active_users.txt"
    assert "spark_apps/active_users.py" in golden.read_text()
    assert "## active_users" in (widened.folder / "docs/reference/tables.md").read_text()


def test_the_new_application_publishes_and_the_command_line_shows_it(
    spark: SparkSession, platform: Platform, widened: Copy, day: date
) -> None:
    rated = [(1, 10), (1, 10), (1, 11), (2, 10)]
    publish(
        spark,
        platform,
        day,
        RATINGS.clean,
        [(user, movie, 3.0, None, number) for number, (user, movie) in enumerate(rated)],
    )
    environ = {**platform.environ, **spark_environment(platform.settings)}
    # What `millpond up` does for a table that is new.
    create = (
        "import os; from millpond.lake.tables import create_missing;"
        "from millpond.catalog.settings import Settings;"
        "create_missing(Settings.from_env(os.environ))"
    )
    widened.run(sys.executable, "-c", create, **environ)
    run = Run(day, "new", 1, "r", platform.settings.root)
    Receipts(platform.hdfs, run.root, "active_users", day).claim(run.name)
    widened.run(sys.executable, "spark_apps/active_users.py", *run.arguments(), **environ)
    show = ("-c", "from millpond.cli.main import run; run()", "show", "active_users")
    shown = widened.run(sys.executable, *show, "--ds", str(day), "--format", "json", **environ)
    assert json.loads(shown) == [
        {"user_id": 1, "movies": 1 + 1, "ds": str(day)},
        {"user_id": 2, "movies": 1, "ds": str(day)},
    ]
