"""Every failure a user can cause or mend is a MillpondError.

Its message is one sentence that names the value, the place and the remedy; the command line prints
it without a traceback and ends with its `exit_code`. The codes 10 to 12 are also the contract
between an application and the operator that submitted it (docs/reference).
"""


class MillpondError(Exception):
    """Something a person can mend; the message says what, where and how."""

    exit_code = 1


class NotPublishedError(MillpondError):
    """A table or a date that was asked for has not been published."""

    exit_code = 2


class BadInputError(MillpondError):
    """The source data cannot be used as it is; running again changes nothing."""

    exit_code = 10


class CheckFailedError(MillpondError):
    """A computed result broke a check of severity `error`; nothing was published."""

    exit_code = 11


class SupersededError(MillpondError):
    """A newer attempt owns this table and date; this one must not publish."""

    exit_code = 12
