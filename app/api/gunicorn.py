"""The configuration of gunicorn: ``gunicorn -c python:app.api.gunicorn``.

Several processes behind one address, each with ``api.threads`` threads; ``WEB_CONCURRENCY`` says
how many. gunicorn reads the names without an underscore; its command line and
``GUNICORN_CMD_ARGS`` are stronger. What a reverse proxy must do for it stands in
``docs/operations.md``.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import structlog
from gunicorn.errors import AppImportError

from app.api.loopback import check_reach
from app.auth import Tokens
from app.settings import Settings
from app.storage import open_store
from app.tracing import require_tracing, stop_tracing
from ml.errors import EmotionClfError

if TYPE_CHECKING:
    from flask import Flask

_DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # nosec B108 - the names in it are random


def _give_up(error: EmotionClfError) -> NoReturn:
    """End as ``python -m app.api`` does, where gunicorn would print a traceback."""
    sys.stderr.write(f"{error}\n")
    sys.exit(error.exit_code)


def _load() -> Settings:
    try:
        return Settings.load()
    except EmotionClfError as error:
        _give_up(error)


def _remove(directory: str, owner: int) -> None:
    """Remove a directory, unless this is a process that was forked from its owner."""
    if os.getpid() == owner:
        shutil.rmtree(directory, ignore_errors=True)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_settings = _load()

wsgi_app = f"{__name__}:create()"
bind = _address(_settings.api.host, _settings.api.port)
worker_class = "app.api.gunicorn_parts.Worker"
logger_class = "app.api.gunicorn_parts.Logger"
threads = _settings.api.threads
worker_connections = 1000
keepalive = 75
"""Seconds. Proxies must let go first, or they send a request while the connection closes."""
timeout = 60
"""Of a process that its parent hears nothing from; requests may take longer."""
graceful_timeout = 8
"""Docker kills what has not ended after ten."""
limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 8400
"""The longest token that is looked at, with its name and scheme."""
sendfile = False
"""It would wait without an end for a client that takes nothing."""
errorlog = None
"""Lines go to the service's own log."""
loglevel = _settings.log_level
forwarded_allow_ips = ""
"""The application looks at ``X-Forwarded-*`` itself: it refuses or believes them."""
control_socket_disable = True
worker_tmp_dir = str(_SHARED_MEMORY) if os.access(_SHARED_MEMORY, os.W_OK) else None


def create() -> Flask:
    """Return the application, in each process its own."""
    from app.api.factory import create_app
    from app.api.gunicorn_parts import tells_who_has_gone

    try:
        app = create_app(_settings)
    except EmotionClfError as error:
        # gunicorn ends for this one; for any other it starts the process again and again.
        raise AppImportError(str(error)) from error
    app.wsgi_app = tells_who_has_gone(app.wsgi_app)  # type: ignore[assignment, method-assign]
    return app


def on_starting(server: Any) -> None:
    """Refuse what no process could work with; load what they share."""
    try:
        for address in server.cfg.address:
            check_reach(_settings, address[0] if isinstance(address, tuple) else str(address))
        open_store(_settings)
        require_tracing(_settings.tracing.endpoint)
        Tokens(_settings.auth)
    except EmotionClfError as error:
        _give_up(error)
    if _DIRECTORY_VARIABLE not in os.environ:
        # With one process too: gunicorn replaces it when it dies, and counters must not fall.
        made = tempfile.mkdtemp(prefix="emotion-clf-api-", dir=worker_tmp_dir)
        os.environ[_DIRECTORY_VARIABLE] = made
        atexit.register(_remove, made, os.getpid())
    # Not before: prometheus-client looks for the directory when it is first imported.
    import_module("app.api.factory")


def when_ready(server: Any) -> None:
    """Say in the log where it listens, and whether anybody may ask."""
    log = structlog.get_logger(__name__)
    if not _settings.auth.enabled:
        log.warning("no_authentication", answers="this machine only", settings="auth.secret")
    for listener in server.LISTENERS:
        host, port = listener.sock.getsockname()[:2]
        log.info("listening", host=host, port=port, processes=server.num_workers)


def worker_exit(server: Any, worker: Any) -> None:
    """Send the traces that are left."""
    stop_tracing()


def child_exit(server: Any, worker: Any) -> None:
    """Take back what a process said of itself that is true no longer."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
