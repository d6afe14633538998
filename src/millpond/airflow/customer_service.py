"""Where the customer service is: Airflow's connection `customer_service`."""

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from millpond.errors import BadInputError
from millpond.interactions.service import Endpoint


def customer_service_endpoint() -> Endpoint:
    """The connection as it is now; its extra `ca_file` names certificates to trust.

    Raises:
        BadInputError: There is none, or nobody may be spoken to as it says.
    """
    try:
        found = Connection.get("customer_service")
    except AirflowNotFoundException:
        raise BadInputError(
            "Airflow has no connection customer_service; add it under Admin, Connections, or let "
            "`millpond up` add that of the local one"
        ) from None
    port = f":{found.port}" if found.port else ""
    return Endpoint(
        url=f"{found.schema or 'https'}://{found.host}{port}",
        user=found.login or "",
        password=found.password or "",
        ca_file=str(found.extra_dejson.get("ca_file", "")),
    )
