"""Links on a task's page to its application, there while it still runs."""

import os
from typing import Any

from airflow.sdk import BaseOperatorLink

from millpond.catalog.settings import Settings


class _ApplicationLink(BaseOperatorLink):
    """A link that follows from the application's id.

    Airflow stores links when a task ends; pushed under `xcom_key` before, they are there at once.
    """

    def url(self, settings: Settings, application_id: str) -> str:
        """Where the application is seen."""
        raise NotImplementedError

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002  Airflow's signature
        """The link as Airflow stores it at the end; empty if nothing was submitted."""
        application_id: str | None = operator.application_id
        return self.url(Settings.from_env(os.environ), application_id) if application_id else ""


class YarnLink(_ApplicationLink):
    """The application's page at the ResourceManager, with its logs."""

    name = "YARN application"

    def url(self, settings: Settings, application_id: str) -> str:
        """The ResourceManager's page."""
        return f"{settings.yarn_url.split(',')[0]}/cluster/app/{application_id}"


class HistoryLink(_ApplicationLink):
    """The application's jobs and stages in the Spark history server."""

    name = "Spark history"

    def url(self, settings: Settings, application_id: str) -> str:
        """The history server's page; it knows running applications too."""
        return f"{settings.history_url}/history/{application_id}/1/jobs/"
