"""What Airflow must know of Millpond beside its DAGs: the links on the pages of Spark tasks."""

from airflow.plugins_manager import AirflowPlugin

from millpond.airflow.links import HistoryLink, YarnLink


class MillpondPlugin(AirflowPlugin):
    """Registers the links, so that pages show those of every past run."""

    name = "millpond"
    operator_extra_links = [  # noqa: RUF012  as Airflow declares it: an attribute, not a ClassVar
        YarnLink(),
        HistoryLink(),
    ]
