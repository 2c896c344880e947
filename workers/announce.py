"""Enters a worker in the register once a child of it is ready for work.

Runs in the children, after what warms them: a worker that is still loading its models
does not count as alive.
"""

from __future__ import annotations

import os
import socket

from celery import current_app
from celery.signals import worker_process_init

from app.db import create_db_engine
from app.settings import Settings
from app.worker_store import WorkerStore
from workers.database import patiently


@worker_process_init.connect  # type: ignore[untyped-decorator]
def announce(**_: object) -> None:
    """Enter the parent, whose presence keeps the entry fresh from now on."""
    engine = create_db_engine(Settings.load().database_url, pool_size=1)
    conf = current_app.conf
    patiently()(
        WorkerStore(engine).enter,
        conf.emotion_clf_node,
        conf.emotion_clf_queue,
        socket.gethostname(),
        os.getppid(),
    )
    engine.dispose()
