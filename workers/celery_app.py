"""The Celery application of the workers.

Redis carries hints, Postgres holds the truth, so nothing is asked of Celery that it cannot
promise over Redis: no result backend, no chains, no redelivery of what a dead worker held.
"""

from __future__ import annotations

from celery import Celery
from celery.signals import setup_logging

from app.jobs import QUEUES
from app.logging import configure_logging
from app.settings import Settings

KILL_MARGIN_SECONDS = 600


def create_app(settings: Settings) -> Celery:
    """Return the application that consumes the queues."""
    app = Celery("emotion_clf", broker=settings.redis_url, include=["workers.tasks"])
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_default_queue=QUEUES[0],
        # A step is taken from its worker by lease and by attempt, with a cap on attempts;
        # redelivery by Celery would have no cap.
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        worker_prefetch_multiplier=1,
        task_time_limit=settings.jobs.step_seconds,
        # A forked child could not use CUDA, and the parent's threads would not exist in it.
        worker_pool_start_method="spawn",
        # Loading a model takes longer than the 4 seconds that Celery grants a child.
        worker_proc_alive_timeout=300.0,
        worker_lost_wait=2.0,
        worker_send_task_events=True,
        task_send_sent_event=True,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            # Above the longest step, or Redis would deliver a running one a second time.
            "visibility_timeout": settings.jobs.step_seconds + KILL_MARGIN_SECONDS,
            # Without these a connection that fell silent blocks the worker for ever.
            "socket_timeout": 5,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            "health_check_interval": 10,
        },
    )
    return app


app = create_app(Settings.load())


@setup_logging.connect  # type: ignore[untyped-decorator]
def _configure_logging(**_: object) -> None:
    """Keep Celery from installing its own log format, in parent and children."""
    # A child is told of its queue only later: workers.child sets the name then.
    queue = app.conf.get("emotion_clf_queue")
    configure_logging(Settings.load().log_level, f"{queue}-worker" if queue else "celery")
