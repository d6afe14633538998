"""Points at which a test ends this process as a power cut would.

`crash_point("sealed")` does nothing, unless MILLPOND_CRASH_AT names it.
"""

import os
import signal


def crash_point(name: str) -> None:
    """End the process by SIGKILL, if this point is armed."""
    if os.environ.get("MILLPOND_CRASH_AT") == name:
        os.kill(os.getpid(), signal.SIGKILL)
