"""Write the bundled sample data: `python -m benchmarks.sample_data [--out FOLDER]`."""

from argparse import ArgumentParser
from pathlib import Path

from benchmarks.sample_data import write
from millpond.catalog.settings import PROJECT_DIR

if __name__ == "__main__":
    parser = ArgumentParser(prog="python -m benchmarks.sample_data", description=__doc__)
    parser.add_argument(
        "--out", metavar="FOLDER", type=Path, default=PROJECT_DIR / "include" / "data"
    )
    write(parser.parse_args().out)
