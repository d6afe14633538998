"""The catalogue: contradictions are refused, and what stands is coherent."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

from millpond import catalog
from millpond.catalog.analyses import (
    ANALYSES,
    MOVIE_RECOMMENDER,
    Analysis,
    Parameter,
    all_tables,
)
from millpond.catalog.datasets import DATASETS, INTEGER, Dataset, Field
from millpond.catalog.reasons import REASONS, reason
from millpond.catalog.tables import Column, Expectation, Table
from millpond.errors import BadInputError

RATING = Column("rating", "double", "a value")


def test_a_column_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="column rating has type 'float'; use int, bigint, double"):
        Column("rating", "float", "a value")


def test_a_table_ordered_by_a_column_it_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="table t is ordered by '-score', which is none of its"):
        Table("t", "marts/t", "a table", (RATING,), order=("-score",))
    with pytest.raises(ValueError, match="table t is charted by 'score', which is none of its"):
        Table("t", "marts/t", "a table", (RATING,), order=(), chart=("rating", "score"))


def test_an_expectation_without_a_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="expectation smallest has no limit"):
        Expectation("smallest", "min(rating)")


def test_an_analysis_of_an_unknown_dataset_is_refused() -> None:
    with pytest.raises(ValueError, match="analysis a reads dataset 'rating', none of ratings"):
        Analysis("a", "why?", ("rating",), (RATING,), ("rating",), ("rating", "rating"))


def test_a_dataset_that_tolerates_nothing_but_bad_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="dataset d: bad_rows_limit is 1; use 0 to below 1"):
        Dataset("d", "d.csv", "rows", ",", (1,), (), (), bad_rows_limit=1)


@pytest.mark.parametrize("field", ["reason", "range_reason"])
def test_a_field_with_a_reason_that_is_not_on_the_list_is_refused(field: str) -> None:
    reasons = {"reason": "not_an_integer", "range_reason": "out_of_range", field: "odd"}
    with pytest.raises(KeyError, match="odd"):
        Field(RATING, 0, INTEGER, cast="{text}", **reasons)


def test_a_reason_names_a_column_exactly_when_it_is_about_one() -> None:
    assert reason("field_count") == "field_count"
    assert reason("out_of_range", "rating") == "out_of_range:rating"
    with pytest.raises(KeyError, match="reason 'field_count' is not about a column"):
        reason("field_count", "rating")
    with pytest.raises(KeyError, match="reason 'out_of_range' is about a column"):
        reason("out_of_range")


WHOLE = Parameter("als_rank", 10, 1, 200, "number of tastes")
SHARE = Parameter("regularization", 0.1, 0.0, 10.0, "a weight")


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        (WHOLE, "1", 1),
        (WHOLE, "200", 200),
        (SHARE, "0.0", 0),
        (SHARE, "10", 10),
        (SHARE, "1e-2", 0.01),
    ],
)
def test_a_parameter_takes_what_is_within_its_limits(
    parameter: Parameter, text: str, value: float
) -> None:
    assert parameter.parse(text) == value


@pytest.mark.parametrize(
    ("parameter", "text", "number"),
    [
        *((WHOLE, text, "whole number from 1 to 200") for text in ("0", "201", "1.5", "many", "")),
        *((SHARE, text, "number from 0.0 to 10.0") for text in ("-0.1", "10.1", "nan", "inf", "")),
    ],
)
def test_what_a_parameter_cannot_be_is_named_with_its_limits(
    parameter: Parameter, text: str, number: str
) -> None:
    with pytest.raises(BadInputError) as raised:
        parameter.parse(text)
    assert str(raised.value) == f"parameter {parameter.name} is {text!r}; give a {number}"


def test_an_analysis_has_its_defaults_unless_a_run_says_otherwise() -> None:
    values = MOVIE_RECOMMENDER.values({"als_rank": "20"})
    assert values["als_rank"] == 20
    assert values["iterations"] == 10
    with pytest.raises(
        BadInputError, match="movie_recommender has no parameter 'rank'; it has als"
    ):
        MOVIE_RECOMMENDER.values({"rank": "20"})
    with pytest.raises(BadInputError, match="has no parameter 'als_rank'; it has none"):
        ANALYSES[0].values({"als_rank": "20"})


def test_names_are_unique() -> None:
    for names in (
        [table.name for table in all_tables()],
        [table.path for table in all_tables()],
        [dataset.name for dataset in DATASETS],
        [analysis.name for analysis in ANALYSES],
        [known.code for known in REASONS],
        [parameter.name for analysis in ANALYSES for parameter in analysis.parameters],
    ):
        assert len(names) == len(set(names))


@pytest.mark.parametrize("table", all_tables(), ids=lambda table: table.name)
def test_names_are_written_alike_and_columns_have_a_meaning(table: Table) -> None:
    assert re.fullmatch(r"[a-z][a-z_]*", table.name)
    for column in table.all_columns():
        assert re.fullmatch(r"[a-z][a-z_0-9]*", column.name)
        assert column.meaning


def test_the_catalogue_imports_nothing_but_the_standard_library() -> None:
    allowed = {*sys.stdlib_module_names, "millpond"}
    for file in sorted(Path(str(catalog.__file__)).parent.glob("*.py")):
        imported = re.findall(r"^(?:from|import) (\w+)", file.read_text(), flags=re.MULTILINE)
        assert set(imported) <= allowed, file.name
        import_module(f"millpond.catalog.{file.stem}" if file.stem != "__init__" else "millpond")
