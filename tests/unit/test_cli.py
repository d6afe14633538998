"""The command line: what goes to which stream, and how each command ends."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
import pytest
import typer
from hypothesis import given

from millpond.catalog.analyses import RATING_HISTOGRAM
from millpond.catalog.partitions import Hour, Partition
from millpond.catalog.tables import HOUR, Table
from millpond.cli import console, main, tables
from millpond.cli.console import Format, day, partition_of, table_named
from millpond.cli.tables import print_rows
from millpond.cluster import platform
from millpond.errors import MillpondError, NotPublishedError
from millpond.lake.tables import Publication, StoredTable, arrow_schema

DAYS: list[Partition] = [date(2026, 11, 1), date(2026, 11, 21)]


class Shelf(StoredTable):
    """A table that has the histogram's rows for some dates, and was published empty for one."""

    def __init__(self, table: Table, *_: str) -> None:
        self.table = table

    def partitions(self, version: int | None = None) -> list[Partition]:
        return DAYS

    def publications(self, partition: Partition | None, limit: int) -> list[Publication]:
        return []

    def number(self, partition: Partition) -> int:
        return int(partition in DAYS or partition == date(2026, 11, 5))

    def read(self, partition: Partition, version: int | None = None) -> pa.Table:
        values = [halves / 2 for halves in range(1, 11)] if partition in DAYS else []
        rows = [{"rating": value, "ratings": 7, "ds": partition} for value in values]
        return pa.Table.from_pylist(rows, schema=arrow_schema(RATING_HISTOGRAM.mart))


@pytest.fixture
def millpond(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command: its exit code, standard output and standard error."""
    monkeypatch.setattr(tables, "StoredTable", Shelf)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["millpond", *arguments])
        try:
            main.run()
            code: Any = 0
        except SystemExit as ended:
            code = ended.code or 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_by_default_the_latest_date_is_shown(millpond: Any) -> None:
    code, out, err = millpond("show", "rating_histogram", "--format", "csv", "--limit", "2")
    assert (code, err) == (0, "")
    assert out == "rating,ratings,ds\n0.5,7,2026-11-21\n1.0,7,2026-11-21\n"


def test_json_is_one_array_of_objects(millpond: Any) -> None:
    _, out, _ = millpond("show", "rating_histogram", "--format", "json", "--limit", "all")
    rows = json.loads(out)
    assert len(rows) == 10
    assert rows[0] == {"rating": 0.5, "ratings": 7, "ds": "2026-11-21"}


def test_a_table_on_the_screen_counts_its_rows_beside_it(millpond: Any) -> None:
    _, out, err = millpond("show", "rating_histogram", "--limit", "3")
    assert "rating" in out
    assert err == "3 of 10 rows of rating_histogram 2026-11-21\n"


def test_what_a_cell_holds_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    # Brackets are markup to the library that draws the table; in a pipe no line is folded.
    line = "[red] 1995 [/b] " + "x" * 100
    print_rows(pa.table({"line": [line]}), Format.TABLE)
    assert line in capsys.readouterr().out


def test_in_a_narrow_terminal_nothing_is_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "UNBOUND_WIDTH", 30)
    code, number = "not_an_integer:rated_at out_of_range:rating", 891717742
    print_rows(pa.table({"reasons": [code], "rated_at": [number]}), Format.TABLE)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 30
    assert str(number) in shown
    assert "".join(shown.replace(str(number), "").split()).endswith(code.replace(" ", ""))


def test_what_a_terminal_would_obey_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(pa.table({"line": ["clear \x1b[2J\r\x9b\tend"]}), Format.TABLE)
    assert "clear \u241b[2J\u240d\ufffd" in capsys.readouterr().out


def test_a_bar_reaches_from_zero_to_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    values = [Decimal("-10.0"), Decimal("0.0"), Decimal("5.0"), Decimal("10.0")]
    rows = pa.table({"station": ["a", "b", "c", "d"], "lowest": values})
    console.print_grid(tables._bars(rows, "station", "lowest"))
    drawn = capsys.readouterr().out.splitlines()[3:7]
    block = "\u2588"
    # 40 places for 20 degrees: zero is in the middle.
    assert [" ".join(line.split()) for line in drawn] == [
        f"a {20 * block} -10.0",
        "b 0.0",
        f"c {10 * block} 5.0",
        f"d {20 * block} 10.0",
    ]
    begins = [line.index(block) for line in drawn if block in line]
    assert [begin - begins[0] for begin in begins] == [0, 20, 20]


def test_a_chart_is_of_a_table_that_has_one_and_for_people(millpond: Any) -> None:
    code, out, _ = millpond("show", "rating_histogram", "--chart", "--limit", "2")
    assert code == 0
    assert out.count("\u2588" * 40) == 2  # all values are equal, and so the largest
    code, _, err = millpond("show", "clean_ratings", "--chart")
    assert code == 1
    assert err.startswith("millpond: clean_ratings has no chart; these have: rating_histogram, ")
    code, _, err = millpond("show", "rating_histogram", "--chart", "--format", "csv")
    assert (code, "--chart and --format csv" in err) == (1, True)


def test_published_and_empty_is_no_error(millpond: Any) -> None:
    arguments = ("show", "rating_histogram", "--ds", "2026-11-05", "--format", "json")
    assert millpond(*arguments) == (0, "[]\n", "")


def test_a_date_that_was_not_published_ends_with_2(millpond: Any) -> None:
    code, out, err = millpond("show", "rating_histogram", "--ds", "2026-11-22")
    assert (code, out) == (2, "")
    assert err == (
        "millpond: rating_histogram has no 2026-11-22; it has 2026-11-01 to 2026-11-21\n"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("show", "rating_histgram"), "did you mean rating_histogram? choose from clean_ratings"),
        (
            ("show", "xyz"),
            "there is no table 'xyz'; choose from clean_ratings",
        ),
        (("show", "rating_histogram", "--ds", "22.11.26"), "'22.11.26' is no date; write it as"),
        (("show", "rating_histogram", "--limit", "some"), "--limit is 'some'; give a number of"),
        (("run", "--ds", "2999-01-01"), "2999-01-01 is not over yet"),
        (("run", "--only", "histogram", "--ds", "2026-01-01"), "there is no analysis 'histogram'"),
    ],
)
def test_what_a_person_can_mend_is_one_sentence(
    millpond: Any, arguments: tuple[str, ...], sentence: str
) -> None:
    code, out, err = millpond(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith("millpond: ")
    assert sentence in err
    assert "Traceback" not in err


def test_a_history_of_nothing_says_which_dates_there_are(millpond: Any) -> None:
    code, out, err = millpond("history", "rating_histogram", "--ds", "2026-11-22")
    assert (code, out) == (2, "")
    assert "rating_histogram has no 2026-11-22; it has 2026-11-01 to 2026-11-21" in err


def test_a_full_disk_is_one_sentence(millpond: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/airflow.cfg")

    monkeypatch.setattr(platform, "up", full)
    code, _, err = millpond("up")
    assert code == 1
    assert err == (
        "millpond: /data/airflow.cfg: No space left on device; free some room, or make it "
        "writable\n"
    )


def test_up_says_that_there_are_no_source_files(
    millpond: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "up", lambda *_: None)
    monkeypatch.setenv("MILLPOND_DATA_DIR", "/nowhere")
    code, _, err = millpond("up")
    assert code == 0
    assert "note: MILLPOND_DATA_DIR is /nowhere; it is no folder: create it, or set" in err


def test_today_is_not_over_and_yesterday_is_named(
    millpond: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Midnight(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Midnight":
            return cls(2026, 11, 22, tzinfo=tz)

    monkeypatch.setattr("millpond.cli.runs.datetime", Midnight)
    _, _, err = millpond("run", "--ds", "2026-11-22")
    assert "the latest day to run is 2026-11-21" in err


def test_an_interruption_ends_with_130_and_a_word(
    millpond: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tables, "print_rows", interrupt)
    code, _, err = millpond("show", "rating_histogram")
    # typer ends an interrupted command itself.
    assert code == 130
    assert "Traceback" not in err


@given(
    values=st.lists(
        st.tuples(st.text(), st.decimals(-1000, 1000, places=2), st.none() | st.integers(0, 9))
    )
)
def test_json_keeps_every_value(values: list[tuple[str, Decimal, int | None]]) -> None:
    columns = list(zip(*values, strict=True)) or [(), (), ()]
    types = (pa.string(), pa.decimal128(18, 2), pa.int32())
    rows = pa.table(
        {
            name: pa.array(column, type_)
            for name, column, type_ in zip("abc", columns, types, strict=True)
        }
    )
    with pytest.MonkeyPatch.context() as patched:
        printed: list[str] = []
        patched.setattr(typer, "echo", printed.append)
        print_rows(rows, Format.JSON)
    read = [(row["a"], Decimal(row["b"]), row["c"]) for row in json.loads(printed[0])]
    assert read == values


def test_reading_a_table_loads_nothing_that_other_commands_stand_on() -> None:
    script = (
        "import sys; from millpond.cli.main import app\n"
        "try: app(['show', '--help'])\n"
        "except SystemExit: pass\n"
        "others = {'airflow', 'pyspark', 'sqlalchemy', 'confluent_kafka', 'fastapi'}\n"
        "print(others & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "set()"


def test_a_table_is_found_by_its_name() -> None:
    assert table_named("clean_ratings").path == "clean/ratings"
    assert day("2026-11-22") == date(2026, 11, 22)
    with pytest.raises(MillpondError):
        day("tomorrow")


def test_an_hour_is_asked_for_by_its_name() -> None:
    hourly = replace(RATING_HISTOGRAM.mart, partition=HOUR)
    asked = partition_of(hourly, "2026-11-22T07")
    assert asked == Hour(datetime(2026, 11, 22, 7, tzinfo=UTC))
    with pytest.raises(MillpondError, match="'2026-11-22' is no hour; write it as YYYY-MM-DDTHH"):
        partition_of(hourly, "2026-11-22")


def test_nothing_published_at_all_says_how_to_begin() -> None:
    class Bare(Shelf):
        def partitions(self, version: int | None = None) -> list[Partition]:
            return []

    with pytest.raises(NotPublishedError, match="has not been published yet; `millpond run`"):
        tables.published_partition(Bare(RATING_HISTOGRAM.mart), None, None)
