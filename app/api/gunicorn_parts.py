"""What :mod:`app.api.gunicorn` puts in the place of gunicorn's own parts."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

from gunicorn import glogging, util
from gunicorn.workers.gthread import ThreadWorker

from app.api.services import EXTENSION
from app.logging import configure_logging

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_SILENT_SECONDS = 20
"""How long a client may send nothing in the middle of a request, or take nothing of an answer."""
_TIMEVAL = struct.pack("ll", _SILENT_SECONDS, 0)
_PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT


class Logger(glogging.Logger):  # type: ignore[misc]  # gunicorn carries no types
    """Hands gunicorn's lines to the service's own log. Requests are logged by the application."""

    def setup(self, cfg: Any) -> None:
        """Send nothing anywhere else."""
        super().setup(cfg)
        configure_logging(cfg.loglevel, "api")
        self.error_log.propagate = True

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Say little of a client that fell silent: that is its own affair."""
        if isinstance(sys.exc_info()[1], BlockingIOError):
            self.debug(msg, *args, **kwargs)
        else:
            super().exception(msg, *args, **kwargs)


class Worker(ThreadWorker):  # type: ignore[misc]
    """One process of the API."""

    def enqueue_req(self, conn: Any) -> None:
        """Have the kernel watch the client: gunicorn's threads wait for it without an end."""
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            conn.sock.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL)
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        """Take leave of the client here: gunicorn would wait for one after another."""
        goes_on = super().handle(conn)
        if not goes_on:
            _take_leave(conn.sock)
        return goes_on

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop: whoever waits for a job or follows one waits no longer."""
        app = getattr(self, "wsgi", None)
        if app is not None:  # it may not have started yet
            app.extensions[EXTENSION].stopping.set()
        super().handle_exit(sig, frame)


def _take_leave(client: socket.socket) -> None:
    """Give the client its time to close, so that nothing is left to wait for."""
    with suppress(OSError):
        # A copy, which is closed; the main thread closes the socket itself.
        util.close_graceful(socket.fromfd(client.fileno(), client.family, client.type))
        client.shutdown(socket.SHUT_RD)


def tells_who_has_gone(app: WSGIApplication) -> WSGIApplication:
    """Tell the application of clients that hang up, in the way that waitress does."""

    def call(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        client = environ.get("gunicorn.socket")
        if client is not None:
            environ["waitress.client_disconnected"] = partial(_has_gone, client)
        return app(environ, start_response)

    return call


def _has_gone(client: socket.socket) -> bool:
    try:
        return not client.recv(1, _PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
