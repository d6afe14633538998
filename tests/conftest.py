"""What all kinds of tests share."""

import os

from hypothesis import HealthCheck, settings

# Of tests on the real platform, so that those of faults find the one of the others running.
pytest_plugins = ["tests.integration.fixtures"]

# CI runs the same examples each time; elsewhere each run looks at new ones.
settings.register_profile(
    "millpond",
    deadline=None,  # a Spark job takes as long as it takes
    max_examples=15,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("millpond")
