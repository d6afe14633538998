"""`python -m millpond.reference_service PORT LOG`: serve until a signal."""

import sys
from pathlib import Path

from millpond.reference_service.faults import server
from millpond.reference_service.service import application

server(application(Path(sys.argv[2])), int(sys.argv[1])).run()
