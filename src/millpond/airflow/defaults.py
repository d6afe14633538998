"""What every DAG of this platform has in common."""

from datetime import timedelta
from typing import Any

from jinja2 import StrictUndefined

# Bounds the applications at once; its size is set where Airflow is set up.
YARN_POOL = "yarn"
# One slot: two posters at once would have to wait for each other's deadlines.
SERVICE_POOL = "customer_service"

TASK_DEFAULTS: dict[str, Any] = {
    "owner": "millpond",
    "retries": 2,
    "retry_delay": timedelta(seconds=20),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=1),
}

DAG_DEFAULTS: dict[str, Any] = {
    "default_args": TASK_DEFAULTS,
    # A name that a template does not know is an error, not an empty string.
    "template_undefined": StrictUndefined,
    "catchup": False,
    "tags": ["millpond"],
}
