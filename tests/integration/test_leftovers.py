"""What killed clients and drivers leave on HDFS, and its end."""

import time
import uuid
from dataclasses import replace

from millpond.airflow.reaping import sweep
from millpond.catalog import zones
from millpond.yarn import Application, ResourceManager
from tests.integration.local_platform import Platform
from tests.unit.test_outcomes import ended

LIVE, DEAD, YOUNG = (f"application_5_000{number}" for number in (1, 2, 3))


class Yarn(ResourceManager):
    """One application lives; the ResourceManager has never heard of the others."""

    def application(self, id_: str) -> Application | None:
        return ended("RUNNING", "UNDEFINED") if id_ == LIVE else None


def test_uploads_for_what_does_not_live_are_removed_after_an_hour(platform: Platform) -> None:
    settings = replace(platform.settings, root=f"/test/{uuid.uuid4()}")
    folder, client = zones.uploads(settings.root, settings.deployment), platform.hdfs._client
    an_hour_ago = int((time.time() - 3601) * 1000)
    for id_, modified in ((LIVE, an_hour_ago), (DEAD, an_hour_ago), (YOUNG, None)):
        with client.create(f"{folder}/{id_}/__spark_conf__.zip"):
            pass
        if modified:
            client.set_times(f"{folder}/{id_}", modified, modified)
    yarn = Yarn(settings.yarn_url)
    sweep(yarn, platform.hdfs, settings, dry_run=True)
    assert platform.hdfs.names(folder) == [LIVE, DEAD, YOUNG]
    sweep(yarn, platform.hdfs, settings, dry_run=False)
    assert platform.hdfs.names(folder) == [LIVE, YOUNG]
