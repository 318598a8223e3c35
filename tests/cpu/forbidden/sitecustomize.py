"""On PYTHONPATH, this refuses every connection of a Python process, and notes it in a file."""

import os
import sys
from pathlib import Path

EVENTS = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto",
          "socket.sendmsg")  # fmt: skip
LOG = os.environ.get("FORBIDDEN_LOG")


def refuse(event, arguments):
    if event in EVENTS:
        # Noted, too: who calls home as a rule swallows the errors.
        with Path(LOG).open("a", encoding="utf8") as log:
            log.write(f"{event}\n")
        raise OSError("this test refuses the network")


if LOG:
    sys.addaudithook(refuse)
