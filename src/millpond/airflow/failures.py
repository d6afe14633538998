"""What Airflow makes of a MillpondError: a failure that is tried again, or one that is not."""

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from millpond.errors import BadInputError, CheckFailedError, MillpondError, SupersededError


@contextmanager
def as_airflow_failure() -> Iterator[None]:
    """Fail the task with the sentence alone; what would end alike is not tried again."""
    try:
        yield
    except (BadInputError, CheckFailedError, SupersededError) as error:
        raise AirflowFailException(str(error)) from None
    except MillpondError as error:
        raise AirflowException(str(error)) from None
