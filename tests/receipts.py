"""A receipt that says as little as one may: `replace` what a test is about."""

from millpond.lake.receipts import Receipt

RECEIPT = Receipt(
    table="rating_histogram",
    ds="2026-11-22",
    number=1,
    outcome="published",
    run_id="",
    generation="",
    attempt="",
    application_id="",
    inputs=(),
    rows={},
    checks=(),
    code_version="",
    seconds={},
    with_tables={},
    written_at="",
)
