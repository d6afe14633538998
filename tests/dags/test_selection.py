"""What a run was asked for reaches the applications, and nothing else does."""

from typing import Any

import pytest
from airflow.sdk import Param
from airflow.sdk.exceptions import ParamValidationError

from millpond.airflow.selection import settings_of
from millpond.catalog.analyses import MOVIE_RECOMMENDER, RATING_HISTOGRAM
from tests.dags.conftest import all_dags


@pytest.fixture
def param() -> Param:
    """The param `set` of the daily DAG."""
    [daily] = [dag for dag in all_dags() if dag.dag_id == "daily_analytics"]
    found: Param = daily.params.get_param("set")
    return found


@pytest.mark.parametrize("value", [{}, {"als_rank": 20}, {"regularization": 0.5, "seed": 2}])
def test_a_run_may_set_parameters_within_their_limits(param: Param, value: Any) -> None:
    assert param.resolve(value) == value


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"rank": 20}, "'rank' was unexpected"),
        ({"als_rank": 0}, "0 is less than the minimum of 1"),
        ({"als_rank": 2.5}, "2.5 is not of type 'integer'"),
        ({"regularization": "much"}, "'much' is not of type 'number'"),
    ],
)
def test_airflow_refuses_a_run_that_sets_anything_else(
    param: Param, value: Any, sentence: str
) -> None:
    with pytest.raises(ParamValidationError, match=sentence):
        param.resolve(value)


def test_an_application_is_given_its_own_parameters_alone() -> None:
    context = {"params": {"set": {"seed": 2, "als_rank": 20}}}
    assert settings_of(context, MOVIE_RECOMMENDER.parameters) == (("als_rank", "20"), ("seed", "2"))
    assert settings_of(context, RATING_HISTOGRAM.parameters) == ()
    assert settings_of({"params": {}}, MOVIE_RECOMMENDER.parameters) == ()
