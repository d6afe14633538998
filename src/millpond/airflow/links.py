"""Links on a task's page to its application, there while it still runs."""

import os
from typing import Any

from airflow.sdk import BaseOperatorLink

from millpond.catalog.settings import Settings
from millpond.yarn import Application


class _ApplicationLink(BaseOperatorLink):
    """A link that follows from the application.

    Airflow stores links when a task ends; pushed under `xcom_key` before, they are there at once.
    """

    def url(self, settings: Settings, application: Application) -> str:
        """Where the application is seen; empty as long as it is not."""
        raise NotImplementedError

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002  Airflow's signature
        """The link as Airflow stores it at the end; empty if nothing was submitted."""
        application: Application | None = operator.submitted
        return self.url(Settings.from_env(os.environ), application) if application else ""


class YarnLink(_ApplicationLink):
    """The application's page at the ResourceManager."""

    name = "YARN application"

    def url(self, settings: Settings, application: Application) -> str:
        """The ResourceManager's page."""
        return f"{settings.yarn_url.split(',')[0]}/cluster/app/{application.id}"


class LogLink(_ApplicationLink):
    """What the driver says."""

    name = "Driver log"

    def url(self, settings: Settings, application: Application) -> str:  # noqa: ARG002
        """The NodeManager's page, there once the driver has a container; it leads to HDFS later."""
        # Airflow's log makes a link of a host with a dot alone.
        return application.log_url.replace("//localhost:", "//127.0.0.1:")


class HistoryLink(_ApplicationLink):
    """The application's jobs and stages in the Spark history server."""

    name = "Spark history"

    def url(self, settings: Settings, application: Application) -> str:
        """The history server's page; it knows running applications too."""
        return f"{settings.history_url}/history/{application.id}/1/jobs/"
