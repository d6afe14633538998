"""What Airflow's page of plugins lists of Millpond."""

from airflow.plugins_manager import AirflowPlugin

from millpond.airflow.links import HistoryLink, LogLink, YarnLink


class MillpondPlugin(AirflowPlugin):
    """Names the links of Spark tasks; it is the operator that brings them to a task's page."""

    name = "millpond"
    operator_extra_links = [  # noqa: RUF012  as Airflow declares it: an attribute, not a ClassVar
        YarnLink(),
        LogLink(),
        HistoryLink(),
    ]
