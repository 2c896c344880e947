"""``python -m app.api``: serves the HTTP API with waitress."""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType

import structlog

from app.api.factory import create_app
from app.api.server import make_server
from app.logging import configure_logging
from app.settings import Settings
from ml.errors import EmotionClfError


def _stop(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def main() -> int:
    """Serve until SIGINT or SIGTERM; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m app.api", description=__doc__)
    parser.add_argument("--host", help="address to listen on; default: api.host")
    parser.add_argument("--port", type=int, help="port to listen on; default: api.port")
    arguments = parser.parse_args()
    try:
        settings = Settings.load()
    except EmotionClfError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    configure_logging(settings.log_level, "api")
    host = arguments.host or settings.api.host
    port = settings.api.port if arguments.port is None else arguments.port
    server = make_server(create_app(settings), settings, host, port)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    structlog.get_logger(__name__).info("listening", host=host, port=int(server.effective_port))
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
