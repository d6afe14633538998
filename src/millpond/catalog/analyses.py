"""The analyses: a question, its inputs, its mart; all that is built per analysis starts here."""

from collections.abc import Mapping
from dataclasses import dataclass

from millpond.catalog import interactions
from millpond.catalog.datasets import DATASETS
from millpond.catalog.sizes import COUNT, SMALL, Size
from millpond.catalog.tables import Column, Expectation, Table
from millpond.errors import BadInputError


@dataclass(frozen=True)
class Parameter:
    """A number that shapes an analysis and can be set for a run; whole if its default is."""

    name: str
    default: float
    minimum: float
    maximum: float
    meaning: str

    def parse(self, text: str) -> float:
        """The number a person gave.

        Raises:
            BadInputError: It is none, or outside the limits.
        """
        is_whole = isinstance(self.default, int)
        try:
            value = int(text) if is_whole else float(text)
        except ValueError:
            value = None
        if value is None or not self.minimum <= value <= self.maximum:
            number = "whole number" if is_whole else "number"
            raise BadInputError(
                f"parameter {self.name} is {text!r}; give a {number} from {self.minimum} to "
                f"{self.maximum}"
            )
        return value


@dataclass(frozen=True)
class Analysis:
    """A question answered by `spark_apps/<name>.py` into the mart of the same name.

    `inputs` are names of datasets. `chart` names the columns a bar chart shows: label, then value.
    `companions` are tables that are published together with the mart, before it. `size` is what
    its application asks YARN for. Of the tasks that wait for room, those go first on which more
    `priority` depends.
    """

    name: str
    question: str
    inputs: tuple[str, ...]
    columns: tuple[Column, ...]
    order: tuple[str, ...]
    chart: tuple[str, str] | None = None
    expectations: tuple[Expectation, ...] = ()
    export: bool = True
    parameters: tuple[Parameter, ...] = ()
    companions: tuple[Table, ...] = ()
    size: Size = SMALL
    priority: int = 1

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
            chart=self.chart,
        )

    def values(self, given: Mapping[str, str]) -> dict[str, float]:
        """Every parameter's value: the default, unless another is given.

        Raises:
            BadInputError: A value cannot be what it must be, or there is no such parameter.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                raise BadInputError(
                    f"{self.name} has no parameter {name!r}; it has {', '.join(known) or 'none'}"
                )
        return {
            name: p.parse(given[name]) if name in given else p.default for name, p in known.items()
        }


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

FRIENDS_BY_AGE = Analysis(
    name="friends_by_age",
    question="How many friends do people of each age have on average?",
    inputs=("friends",),
    columns=(
        Column("age", "int", "age in years"),
        Column("people", "bigint", "number of people of that age"),
        Column("average_friends", "double", "mean number of their friends, not rounded"),
    ),
    order=("age",),
    chart=("age", "average_friends"),
    expectations=(
        Expectation("people_lost", "{rows_in} - sum(people)", minimum=0, maximum=0),
        Expectation("fewest_friends", "min(average_friends)", minimum=0),
    ),
)

MIN_TEMPERATURES = Analysis(
    name="min_temperatures",
    question="What is the lowest temperature of each station, and when did it first occur?",
    inputs=("temperatures",),
    columns=(
        Column("station", "string", "the station"),
        Column("min_celsius", "decimal(5,1)", "its lowest TMIN, degrees Celsius"),
        Column("min_fahrenheit", "decimal(6,2)", "the same in degrees Fahrenheit, exactly"),
        Column("observed_on", "date", "the first day it occurred"),
    ),
    order=("station",),
    chart=("station", "min_celsius"),
    expectations=(
        # The lowest and the highest that were ever observed on Earth are -89.2 and 56.7.
        Expectation("coldest", "min(min_celsius)", minimum=-90, severity="warn"),
        Expectation("warmest", "max(min_celsius)", maximum=57, severity="warn"),
    ),
)

WORD_COUNTS = Analysis(
    name="word_counts",
    question="How often does each word occur?",
    inputs=("texts",),
    columns=(
        Column("word", "string", "a run of letters, digits and underscores, in lower case"),
        Column("occurrences", "bigint", "how often it occurs"),
    ),
    order=("-occurrences", "word"),
    chart=("word", "occurrences"),
    expectations=(Expectation("fewest", "min(occurrences)", minimum=1),),
)

CUSTOMER_TOTALS = Analysis(
    name="customer_totals",
    question="How much has each customer spent?",
    inputs=("orders",),
    columns=(
        Column("customer_id", "int", "the customer"),
        Column("total_spent", "decimal(18,2)", "exact sum of the amounts, refunds included"),
        Column("orders", "bigint", "number of orders, refunds included"),
    ),
    order=("-total_spent", "customer_id"),
    chart=("customer_id", "total_spent"),
    expectations=(
        Expectation("orders_lost", "{rows_in} - sum(orders)", minimum=0, maximum=0),
        Expectation("totals_too_large", "count_if(total_spent IS NULL)", maximum=0),
    ),
)

POPULAR_MOVIES = Analysis(
    name="popular_movies",
    question="Which movies have the most ratings, and what do people think of them?",
    inputs=("ratings", "movies"),
    columns=(
        Column("movie_id", "int", "the movie"),
        Column("title", "string", "its title; null if movies has none"),
        Column("ratings", "bigint", "number of ratings, one per user"),
        Column("average_rating", "double", "their mean, not rounded"),
    ),
    order=("-ratings", "movie_id"),
    chart=("title", "ratings"),
    expectations=(
        Expectation("smallest_average", "min(average_rating)", minimum=0.5),
        Expectation("largest_average", "max(average_rating)", maximum=5),
        Expectation("share_nameless", "avg(int(title IS NULL))", maximum=0.1, severity="warn"),
    ),
)

RECOMMENDER_METRICS = Table(
    name="movie_recommender_metrics",
    path="marts/movie_recommender_metrics",
    meaning="how well the recommender predicts ratings that it has not seen, beside simple means",
    columns=(
        Column("als_rank", "int", "number of tastes"),
        Column("iterations", "int", "rounds of alternating least squares"),
        Column("regularization", "double", "weight against large factors"),
        Column("rows_train", "bigint", "ratings it learnt from"),
        Column("rows_test", "bigint", "ratings it was tested on"),
        Column("rmse", "double", "root mean square error of the predictions, in stars"),
        Column("mae", "double", "mean absolute error of the predictions, in stars"),
        Column("rmse_global_mean", "double", "the same of the mean of all ratings"),
        Column("rmse_item_mean", "double", "the same of the movie's mean"),
        Column("rmse_bias", "double", "the same of mean + movie's bias + user's bias"),
        Column("precision_at_10", "double", "share of the first ten that the user liked"),
        Column("ndcg_at_10", "double", "the same with the first places counting more, 0 to 1"),
        Column("precision_at_10_popularity", "double", "the same of the most rated movies"),
        Column("ndcg_at_10_popularity", "double", "the same of the most rated movies"),
        Column("gate", "string", "published, or refused: rmse is not below rmse_item_mean"),
    ),
    order=("als_rank",),
    expectations=(Expectation("rmse", "max(rmse)", minimum=0, maximum=5, severity="warn"),),
)

MOVIE_RECOMMENDER = Analysis(
    name="movie_recommender",
    question="Which ten movies would each user like best of those not rated yet?",
    inputs=("ratings", "movies"),
    columns=(
        Column("user_id", "int", "the user"),
        Column("rank", "int", "1 for the best"),
        Column("movie_id", "int", "a movie that the user has not rated"),
        Column("title", "string", "its title; null if movies has none"),
        Column("score", "double", "the rating the model predicts; it may lie outside 0.5 to 5.0"),
    ),
    order=("user_id", "rank"),
    expectations=(
        Expectation("lowest_place", "max(rank)", minimum=1, maximum=10),
        Expectation("recommended_twice", "count(*) - count(DISTINCT user_id, movie_id)", maximum=0),
    ),
    parameters=(
        Parameter("als_rank", 10, 1, 200, "number of tastes"),
        Parameter("iterations", 10, 1, 100, "rounds of alternating least squares"),
        # With 0 the equations of a user with few ratings have no single solution.
        Parameter("regularization", 0.1, 0.001, 10.0, "weight against large factors"),
        Parameter("seed", 1, 0, 2**31 - 1, "of the split and of the first factors"),
    ),
    # Four times as long as any other, so a day's run is short only if it is not the last to begin.
    priority=10,
    companions=(RECOMMENDER_METRICS,),
)

ANALYSES = (
    RATING_HISTOGRAM,
    FRIENDS_BY_AGE,
    MIN_TEMPERATURES,
    WORD_COUNTS,
    CUSTOMER_TOTALS,
    POPULAR_MOVIES,
    MOVIE_RECOMMENDER,
)


def analysis(name: str) -> Analysis:
    """The analysis of that name; KeyError if there is none."""
    return {a.name: a for a in ANALYSES}[name]


def all_sizes() -> tuple[Size, ...]:
    """What the applications ask YARN for, each kind once."""
    return (SMALL, COUNT, *(analysis.size for analysis in ANALYSES))


def all_tables() -> tuple[Table, ...]:
    """Every table of the platform, inputs before results."""
    inputs = [table for d in DATASETS for table in (d.clean, d.quarantine)]
    marts = (table for a in ANALYSES for table in (*a.companions, a.mart))
    return (*inputs, *marts, *interactions.TABLES)
