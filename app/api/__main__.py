"""``python -m app.api``: serves the HTTP API with waitress."""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType

import structlog

from app.api.factory import create_app
from app.api.loopback import check_reach
from app.api.server import make_server, port_of
from app.api.services import EXTENSION
from app.logging import configure_logging
from app.settings import Settings
from app.tracing import stop_tracing
from ml.errors import EmotionClfError


def main() -> int:
    """Serve until SIGINT or SIGTERM; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m app.api", description=__doc__)
    parser.add_argument("--host", help="address to listen on; default: api.host")
    parser.add_argument("--port", type=int, help="port to listen on; default: api.port")
    arguments = parser.parse_args()
    try:
        settings = Settings.load()
        host = arguments.host or settings.api.host
        check_reach(settings, host)
        configure_logging(settings.log_level, "api")
        app = create_app(settings)
    except EmotionClfError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    port = settings.api.port if arguments.port is None else arguments.port
    server = make_server(app, settings, host, port)

    def stop(number: int, frame: FrameType | None) -> None:
        app.extensions[EXTENSION].stopping.set()
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    log = structlog.get_logger(__name__)
    if not settings.auth.enabled:
        log.warning("no_authentication", answers="this machine only", settings="auth.secret")
    log.info("listening", host=host, port=port_of(server))
    try:
        server.run()
    finally:
        stop_tracing()
    return 0


if __name__ == "__main__":
    sys.exit(main())
