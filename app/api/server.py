"""waitress, with bounds on how requests arrive, and its own errors as problem documents too."""

from __future__ import annotations

from typing import Any

from flask import Flask
from waitress.server import BaseWSGIServer, create_server

from app.api.channel import Bounds, bounded_channel
from app.api.uploads import form_limit, json_limit
from app.settings import Settings

_LONGEST_HEADERS = 32 * 1024
_IDLE_SECONDS = 60
_CONNECTIONS = 1000
_LARGEST_UPLOADS = 4
"""Uploads of the largest size for which there must be space on the disk at once."""


def make_server(
    app: Flask, settings: Settings, host: str, port: int, bounds: Bounds | None = None
) -> Any:
    """Return a waitress server that listens; its ``run()`` serves until the process ends."""
    largest = form_limit(settings)
    bounds = bounds or Bounds(json_limit(settings), _LARGEST_UPLOADS * largest)
    sockets: dict[int, Any] = {}
    server = create_server(
        app,
        map=sockets,
        host=host,
        port=port,
        threads=settings.api.threads,
        ident=None,
        connection_limit=_CONNECTIONS,
        channel_timeout=_IDLE_SECONDS,
        max_request_header_size=_LONGEST_HEADERS,
        # waitress keeps the rest on disk, and a larger body than this never gets in.
        max_request_body_size=largest,
        # select() ends at 1,024 open files.
        asyncore_use_poll=True,
        # The application looks at them itself: it refuses or believes them.
        clear_untrusted_proxy_headers=False,
    )
    # A name such as localhost may have several addresses, each with a listener of its own.
    for listener in sockets.values():
        if isinstance(listener, BaseWSGIServer):
            listener.channel_class = bounded_channel(bounds)
    return server


def port_of(server: Any) -> int:
    """Return the port that a server listens on."""
    listen = getattr(server, "effective_listen", None)
    return int(listen[0][1] if listen else server.effective_port)
