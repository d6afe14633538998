"""Where the customer service is: Airflow's connection `customer_service`."""

from airflow.sdk import Connection

from millpond.interactions.service import Endpoint


def customer_service_endpoint() -> Endpoint:
    """The connection as it is now; its extra `ca_file` names certificates to trust."""
    found = Connection.get("customer_service")
    port = f":{found.port}" if found.port else ""
    return Endpoint(
        url=f"{found.schema or 'https'}://{found.host}{port}",
        user=found.login or "",
        password=found.password or "",
        ca_file=str(found.extra_dejson.get("ca_file", "")),
    )
