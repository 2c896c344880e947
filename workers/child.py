"""What each child of a worker does before its first step, and at its end.

All of it in one place, because Celery hands its children the modules to import as a set: what two
modules connect to the same signal is called in either order.
"""

from __future__ import annotations

import os
import socket
from importlib import import_module
from typing import Any

import structlog
from celery import current_app
from celery.signals import worker_process_init, worker_process_shutdown

from app.db import create_db_engine
from app.logging import configure_logging
from app.settings import Settings
from app.stores.workers import WorkerStore
from app.tracing import start_tracing, stop_tracing
from workers.database import patiently
from workers.scratch import move_in

log = structlog.get_logger(__name__)


@worker_process_init.connect  # type: ignore[untyped-decorator]
def begin(**_: object) -> None:
    """Load what the first step would otherwise wait for, then enter the parent in the register.

    A worker that is still loading its models does not count as alive. That is so too when a
    child replaces the only one, which died; with several the others go on meanwhile. From
    :class:`workers.presence.Presence`, in the parent, the entry is kept fresh.
    """
    conf, settings = current_app.conf, Settings.load()
    configure_logging(settings.log_level, f"{conf.emotion_clf_queue}-worker")
    try:
        _enter(conf, settings)
    except Exception:
        # Celery goes on, but the worker stays out of the register, and readiness red.
        log.exception("child.not_ready")
        raise


def _enter(conf: Any, settings: Settings) -> None:
    engine = create_db_engine(settings.database_url, pool_size=1)
    register = WorkerStore(engine)
    if conf.emotion_clf_children == 1:
        patiently()(register.leave, conf.emotion_clf_node)
    move_in()
    start_tracing(settings.tracing.endpoint, f"{conf.emotion_clf_queue}-worker")
    for module in conf.emotion_clf_warm:
        import_module(module).warm()
    patiently()(
        register.enter,
        conf.emotion_clf_node,
        conf.emotion_clf_queue,
        socket.gethostname(),
        os.getppid(),
    )
    engine.dispose()


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def end(**_: object) -> None:
    """Send the traces that are left."""
    stop_tracing()
