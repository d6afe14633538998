"""What is written to HDFS, as far as it needs no HDFS: receipts, CSV, types."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from millpond.catalog.analyses import RATING_HISTOGRAM
from millpond.catalog.tables import Column
from millpond.errors import MillpondError
from millpond.lake.exports import to_csv
from millpond.lake.hdfs import Hdfs
from millpond.lake.receipts import Check, Outcome, Receipt, Receipts, Source
from millpond.lake.tables import StoredTable, _cause, arrow_type, sort_keys

RECEIPT = Receipt(
    table="rating_histogram",
    ds="2026-11-22",
    number=3,
    outcome="published",
    run_id="scheduled__2026-11-23",
    generation="0199",
    attempt="1",
    application_id="application_1_0001",
    inputs=(Source(path="/millpond/clean/ratings", version=7),),
    rows={"in": 10, "out": 2},
    checks=(Check("rows", "error", passed=True, figure=2.0, minimum=1, maximum=None),),
    code_version="0.1.0+abc",
    seconds={"session": 1.5},
    with_tables={},
    written_at="2026-11-23T00:00:00.000+00:00",
    with_files=("/millpond/models/m/ds=2026-11-22/application_1_0001",),
    settings={"als_rank": "20"},
)


def test_a_receipt_comes_back_from_its_file_as_it_was() -> None:
    assert Receipt.from_json(json.loads(RECEIPT.to_bytes())) == RECEIPT


def test_a_receipts_hash_is_that_of_its_file() -> None:
    again = Receipt.from_json(json.loads(RECEIPT.to_bytes()))
    assert again.sha256() == RECEIPT.sha256()


class Folder(Hdfs):
    """A folder of receipts, by the names of its files."""

    def __init__(self, *receipts: Receipt) -> None:
        self.contents = {f"{receipt.number}.json": receipt.to_bytes() for receipt in receipts}

    def names(self, folder: str) -> list[str]:
        return [*self.contents, "claim", "failed-g-1.json"]

    def read(self, path: str) -> bytes | None:
        return self.contents.get(path.rpartition("/")[2])


def test_what_counts_is_the_current_receipt_and_refusals_after_it() -> None:
    def receipt(number: int, outcome: Outcome) -> Receipt:
        return replace(RECEIPT, number=number, outcome=outcome)

    published, refused = receipt(3, "published"), receipt(5, "refused")
    folder = Folder(
        receipt(2, "refused"),  # overtaken by a publication
        published,
        receipt(4, "published"),  # its writer died before the commit
        refused,
    )
    receipts = Receipts(folder, "/millpond", RECEIPT.table, date(2026, 11, 22))
    assert receipts.standing(3) == [refused, published]
    assert Receipts(Folder(refused), "/", "t", date(2026, 11, 22)).standing(0) == [refused]
    assert Receipts(Folder(), "/", "t", date(2026, 11, 22)).standing(0) == []


def test_a_check_is_a_figure_and_its_limits_in_a_sentence() -> None:
    check = Check("share", "warn", passed=False, figure=0.05, minimum=0.1, maximum=None)
    assert str(check) == "share is 0.05, which must be at least 0.1"
    both = replace(check, figure=None, maximum=1)
    assert str(both) == "share is null, which must be at least 0.1 and at most 1"
    count = replace(check, name="rows_lost", figure=1234567.0, minimum=None, maximum=0)
    assert str(count) == "rows_lost is 1234567, which must be at most 0"


def test_csv_quotes_what_must_be_quoted_and_leaves_nulls_empty() -> None:
    rows = pa.table(
        {
            "movie_id": pa.array([1, 2], pa.int32()),
            "title": ['Rain, "Late"', None],
            "spent": [Decimal("10.50"), Decimal("-3.00")],
            "ds": [date(2026, 11, 22)] * 2,
        }
    )
    assert to_csv(rows) == (
        "movie_id,title,spent,ds\n"
        '1,"Rain, ""Late""",10.50,2026-11-22\n'
        "2,,-3.00,2026-11-22\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("type_", "arrow"),
    [
        ("bigint", pa.int64()),
        ("timestamp", pa.timestamp("us", tz="UTC")),
        ("decimal(18,2)", pa.decimal128(18, 2)),
        ("array<string>", pa.list_(pa.field("element", pa.string()))),
    ],
)
def test_catalogue_types_have_their_arrow_counterpart(type_: str, arrow: pa.DataType) -> None:
    assert arrow_type(Column("c", type_, "a column")) == arrow


def test_a_minus_sorts_descending() -> None:
    assert sort_keys(("-ratings", "movie_id")) == [
        ("ratings", "descending"),
        ("movie_id", "ascending"),
    ]


def test_a_dump_is_no_cause() -> None:
    # As it comes when no DataNode runs, but shorter.
    causes = ("Generic HdfsObjectStore error", "All DataNodes failed")
    dump = ("[DatanodeInfoProto { id", "DatanodeIdProto { ip_addr", "Some(0) }]")
    said = "\n \x1b[31m\u21b3\x1b[0m ".join(("Kernel error -> IO", *causes, *dump))
    assert _cause(OSError(said)) == "All DataNodes failed"
    assert _cause(OSError("{odd}")) == "{odd}"


def test_a_table_that_cannot_be_opened_says_why() -> None:
    nobody_listens = StoredTable(RATING_HISTOGRAM.mart, "hdfs://127.0.0.1:1", "/millpond")
    with pytest.raises(MillpondError) as raised:
        nobody_listens.open()
    assert str(raised.value) == (
        "could not read hdfs://127.0.0.1:1/millpond/marts/rating_histogram: Connection refused (os "
        "error 111); `millpond status` says whether HDFS is up"
    )


def test_reading_a_table_does_not_load_pandas(tmp_path: Path) -> None:
    # That would be nearly half of the processor time of `millpond show`.
    script = (
        "import sys; from datetime import date\n"
        "from millpond.catalog.analyses import RATING_HISTOGRAM\n"
        "from millpond.lake.tables import StoredTable\n"
        "stored = StoredTable(RATING_HISTOGRAM.mart, sys.argv[1], '')\n"
        "stored.create()\n"
        "print(stored.read(date(2026, 11, 22)).num_rows, 'pandas' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path.as_uri()],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0 False\n"
