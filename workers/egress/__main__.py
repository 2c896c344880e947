"""Starts the egress proxy: ``python -m workers.egress``."""

from __future__ import annotations

import asyncio
import signal
import sys

import structlog

from app.logging import configure_logging
from app.settings import Settings
from ml.errors import EmotionClfError, ServiceError
from ml.source.addresses import AddressPolicy
from workers.egress.server import EgressProxy

DRAIN_SECONDS = 5.0
"""How long running downloads may go on after SIGTERM; a worker repeats those that are cut off."""
log = structlog.get_logger(__name__)


async def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM."""
    proxy = EgressProxy(settings.egress, AddressPolicy(settings.source.allowed_networks))
    try:
        server = await proxy.listen()
    except OSError as error:
        raise ServiceError(
            "The egress proxy cannot listen where it shall.",
            hint="Choose another egress.host or egress.port.",
        ) from error
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    log.info("egress.listening", port=server.sockets[0].getsockname()[1])
    await stopping.wait()
    server.close()
    await proxy.drain(DRAIN_SECONDS)
    log.info("egress.stopped")


def main() -> int:
    """Run; return the exit status."""
    try:
        settings = Settings.load()
        configure_logging(settings.log_level, "egress")
        asyncio.run(serve(settings))
    except EmotionClfError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
