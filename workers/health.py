"""Says whether a process of the service does its work: ``python -m workers.health cpu``.

For Docker and Kubernetes, inside the same container. It prints one line and ends with 0, or with 1
where starting the process again may help; that a database or a broker is away is no such case.
"""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Callable
from functools import partial
from http.client import HTTPConnection, HTTPException

from ml.errors import EmotionClfError
from workers.pulse import Pulse

STALE_SECONDS = 60.0
"""Longer than the database may take to answer one question of the dispatcher."""
ANSWER_SECONDS = 3.0


class NotWell(Exception):
    """The process does not do its work; the message says what was seen."""


def _beats(role: str) -> str:
    age = Pulse(role).age()
    if age is None:
        raise NotWell("has not begun its work, or has ended")
    if age > STALE_SECONDS:
        raise NotWell(f"was last at work {age:.0f} seconds ago")
    return f"was at work {age:.0f} seconds ago"


def _answers_http() -> str:
    from app.settings import Settings

    api = Settings.load().api
    connection = HTTPConnection(_reachable(api.host), api.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/health")
        status = connection.getresponse().status
    finally:
        connection.close()
    if status != 200:
        raise NotWell(f"answers {status}")
    return "answers"


def _takes_connections() -> str:
    from app.settings import Settings

    egress = Settings.load().egress
    address = (_reachable(egress.host), egress.port)
    with socket.create_connection(address, timeout=ANSWER_SECONDS) as connection:
        # Who leaves without a word is let go, and no line of the log tells of it.
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
    return "takes connections"


def _reachable(host: str) -> str:
    """Return where a server is found from here that listens at ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # nosec B104


CHECKS: dict[str, Callable[[], str]] = {
    "api": _answers_http,
    "egress": _takes_connections,
    **{role: partial(_beats, role) for role in ("dispatcher", "cpu", "gpu")},
}


def main(arguments: list[str] | None = None) -> int:
    """Look at one process; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m workers.health", description=__doc__)
    parser.add_argument("role", choices=CHECKS)
    role = parser.parse_args(arguments).role
    try:
        seen, status = CHECKS[role](), 0
    except (NotWell, EmotionClfError, OSError, HTTPException) as error:
        seen, status = str(error) or type(error).__name__, 1
    sys.stdout.write(f"{role}: {seen}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
