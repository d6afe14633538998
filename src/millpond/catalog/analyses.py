"""The analyses: a question, its inputs, its mart; all that is built per analysis starts here."""

from dataclasses import dataclass

from millpond.catalog.datasets import DATASETS
from millpond.catalog.tables import Column, Expectation, Table


@dataclass(frozen=True)
class Analysis:
    """A question answered by `spark_apps/<name>.py` into the mart of the same name.

    `inputs` are names of datasets. `export` also writes each date as one CSV file. `chart` names
    the columns a bar chart shows: label, then value.
    """

    name: str
    question: str
    inputs: tuple[str, ...]
    columns: tuple[Column, ...]
    order: tuple[str, ...]
    chart: tuple[str, str]
    expectations: tuple[Expectation, ...] = ()
    export: bool = True

    def __post_init__(self) -> None:
        known = [d.name for d in DATASETS]
        for name in self.inputs:
            if name not in known:
                raise ValueError(
                    f"analysis {self.name} reads dataset {name!r}, none of {', '.join(known)}"
                )

    @property
    def mart(self) -> Table:
        """The table of results."""
        return Table(
            name=self.name,
            path=f"marts/{self.name}",
            meaning=self.question,
            columns=self.columns,
            order=self.order,
            expectations=self.expectations,
            export=self.export,
        )


RATING_HISTOGRAM = Analysis(
    name="rating_histogram",
    question="How many ratings are there of each value?",
    inputs=("ratings",),
    columns=(
        Column("rating", "double", "the value: 0.5 to 5.0 in halves"),
        Column("ratings", "bigint", "number of ratings of that value, one per user and movie"),
    ),
    order=("rating",),
    chart=("rating", "ratings"),
    expectations=(
        Expectation("smallest_count", "min(ratings)", minimum=1),
        Expectation("distinct_values", "count(DISTINCT rating)", minimum=1, maximum=10),
    ),
)

ANALYSES = (RATING_HISTOGRAM,)


def analysis(name: str) -> Analysis:
    """The analysis of that name; KeyError if there is none."""
    return {a.name: a for a in ANALYSES}[name]


def all_tables() -> tuple[Table, ...]:
    """Every table of the platform, inputs before results."""
    inputs = [table for d in DATASETS for table in (d.clean, d.quarantine)]
    return (*inputs, *(a.mart for a in ANALYSES))
