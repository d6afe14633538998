"""The reference pages, written from the catalogue.

    python -m millpond.cli.reference [--check]

`make docs` writes them, `make check` looks whether they are those of this catalogue.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from millpond import errors
from millpond.catalog.analyses import ANALYSES, all_tables
from millpond.catalog.datasets import ANYTHING, DATASETS, Dataset, Field
from millpond.catalog.reasons import REASONS
from millpond.catalog.settings import PORT_OFFSETS, PROJECT_DIR, SETTINGS
from millpond.catalog.tables import Expectation, Table, limits_in_words
from millpond.cli.console import messages
from millpond.errors import MillpondError

FOLDER = PROJECT_DIR / "docs" / "reference"
GENERATED = "<!-- Written by `make docs` from the catalogue; changes by hand are lost. -->\n\n"

EXIT_CODES = """\
Of `millpond` and of the applications; 0 is success: published, or refused by rule. `millpond` also
ends with 2 for a command or an option that does not exist, and with 130 when it is interrupted.
`millpond status` and `millpond doctor` end with 1 unless all is well."""
APPLICATION = """\
An application is called with `--ds D --generation G --attempt A --run-id=R --root /millpond
[--set key=value ...]`, an hourly one with `--hour YYYY-MM-DDTHH` in the place of `--ds`;
`conform_dataset` takes `--dataset NAME` before these, `count_interactions` takes
`--kafka SERVERS --keys NAMES`, percent-encoded. When it fails it
leaves its cause and exit code in `/millpond/receipts/<table>/ds=D/failed-<G>-<A>.json`. An operator
does not try 10, 11 and 12 again: the data, the code or another attempt must change first."""
TABLES = """\
Each is a Delta table below the root, `/millpond`, with one set of rows per `ds`. The docstring of
`spark_apps/<name>.py` defines the numbers of a mart. Of the checks, `error` stops a publication and
`warn` is recorded and said; `{rows_in}` is the number of rows that were read. Clean tables have one
more, `share_of_earlier_lines`: the file's lines as a share of those of the date before are at least
0.5 (warn)."""
PARAMETERS = """\
Numbers that shape an analysis. Another value holds for one run: `millpond run --set als_rank=20`,
or the DAG param `set`, `{"als_rank": 20}`. The receipt records it in `settings`."""
ENCODINGS = {
    "UTF-8": "UTF-8",
    "ISO-8859-1": "ISO-8859-1",
    "detect": "UTF-8 if all of it decodes, else Windows-1252",
}


def pages() -> dict[str, str]:
    """Each page's text by its file name."""
    bodies = {
        "datasets.md": _datasets(),
        "tables.md": _tables(),
        "parameters.md": _parameters(),
        "reason-codes.md": _reasons(),
        "settings.md": _settings(),
        "exit-codes.md": _exit_codes(),
    }
    return {name: GENERATED + body for name, body in bodies.items()}


def _grid(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in escaped)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _datasets() -> str:
    return "# Datasets\n" + "".join(_dataset(of) for of in DATASETS)


def _dataset(of: Dataset) -> str:
    counts = " or ".join(str(count) for count in of.field_counts)
    columns = ("column", "field", "type", "meaning", "pattern", "otherwise")
    cut = f"{counts} fields separated by `{of.separator}`" if of.separator else "lines as they are"
    first = f" Of lines with one `{of.key}` the first stays." if of.key else ""
    return (
        f"\n## {of.name}\n\n"
        f"{_sentence(of.meaning)}. File `{of.file}`, {ENCODINGS[of.encoding]}; {cut}.{first} "
        f"At most {of.bad_rows_limit:.0%} of its lines may be bad.\n\n"
        f"{_grid(columns, map(_field, of.fields))}{_ranges(of)}"
    )


def _field(of: Field) -> tuple[str, ...]:
    is_cut, is_judged = "{text}" in of.cast, of.pattern != ANYTHING
    # A string that matches its pattern has no range to be out of.
    codes = (of.reason,) if of.column.type == "string" else (of.reason, of.range_reason)
    return (
        of.column.name,
        str(of.position + 1) if is_cut else "",
        f"`{of.column.type}`",
        of.column.meaning,
        f"`{of.pattern}`" if is_judged else "",
        ", ".join(f"`{code}`" for code in dict.fromkeys(codes)) if is_judged else "",
    )


def _ranges(of: Dataset) -> str:
    """What else a value must satisfy, as SQL about the columns."""
    bounded = [f for f in of.fields if f.check != Field.check and f.range_reason != f.reason]
    checks = [f.check.format(text=f.column.name, value=f.column.name) for f in bounded]
    lines = "".join(f"- `{check}`\n" for check in checks if check != "true")
    return f"\nWhat is not so is `out_of_range`:\n\n{lines}" if lines else ""


def _tables() -> str:
    return f"# Tables\n\n{TABLES}\n" + "".join(_table(table) for table in all_tables())


def _table(table: Table) -> str:
    columns = _grid(
        ("column", "type", "meaning"),
        ((c.name, f"`{c.type}`", c.meaning) for c in table.all_columns()),
    )
    order = ", ".join(
        f"{key.lstrip('-')} descending" if key.startswith("-") else key for key in table.order
    )
    checks = "".join(f"- {_expectation(e)}\n" for e in table.expectations)
    checks = f"\nChecks:\n\n{checks}" if checks else ""
    return (
        f"\n## {table.name}\n\n{_sentence(table.meaning)}\n\n"
        f"At `{table.path}`, partitioned by `{table.partition.name}`; shown by {order}"
        f"{'; exported as CSV' if table.export else ''}.\n\n{columns}{checks}"
    )


def _expectation(of: Expectation) -> str:
    limits = limits_in_words(of.minimum, of.maximum)
    return f"`{of.name}`: `{of.aggregate}` is {limits} ({of.severity})"


def _parameters() -> str:
    rows = (
        (p.name, of.name, p.meaning, str(p.default), f"{p.minimum} to {p.maximum}")
        for of in ANALYSES
        for p in of.parameters
    )
    grid = _grid(("parameter", "analysis", "meaning", "default", "limits"), rows)
    return f"# Parameters\n\n{PARAMETERS}\n\n{grid}"


def _reasons() -> str:
    rows = ((f"`{r.code}{':<column>' if r.about_column else ''}`", r.meaning) for r in REASONS)
    return "# Reason codes\n\nWhy a line is in quarantine.\n\n" + _grid(("code", "meaning"), rows)


def _settings() -> str:
    variables = _grid(
        ("variable", "default", "meaning"),
        ((f"`{s.variable}`", f"`{s.default}`", s.meaning) for s in SETTINGS),
    )
    ports = _grid(
        ("listener", "port"),
        ((name, f"base + {offset}") for name, offset in sorted(PORT_OFFSETS.items())),
    )
    return f"# Settings\n\n{variables}\n## Ports of the local platform\n\n{ports}"


def _exit_codes() -> str:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    failures = [kind for kind in kinds if issubclass(kind, MillpondError)]
    rows = sorted((kind.exit_code, str(kind.__doc__)) for kind in failures)
    table = _grid(("code", "meaning"), ((str(code), meaning) for code, meaning in rows))
    return f"# Exit codes\n\n{EXIT_CODES}\n\n{table}\n{APPLICATION}\n"


def check(folder: Path) -> None:
    """Raise MillpondError for a page that is not what the catalogue says."""
    for name, text in pages().items():
        file = folder / name
        if not file.exists() or file.read_text() != text:
            raise MillpondError(f"{file} is not what the catalogue says; run `make docs`")


def write(folder: Path) -> None:
    """Write every page."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text)


if __name__ == "__main__":
    if sys.argv[1:] != ["--check"]:
        write(FOLDER)
        sys.exit()
    try:
        check(FOLDER)
    except MillpondError as error:
        messages.print(str(error))
        sys.exit(error.exit_code)
