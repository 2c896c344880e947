"""The process dies at chosen points of its code.

A point is armed by a file of its name in the directory ``FAILPOINTS``. Whoever comes by takes
the file away and dies, so each file is one death.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection
from pathlib import Path

from sqlalchemy import Connection, Engine, event

import app.stores.jobs
from app.jobs import Job, Queue, Step
from app.stores.dispatch import DispatchStore
from app.stores.jobs import JobStore

DIRECTORY = Path(os.environ["FAILPOINTS"])
insert_jobs, submit, publish = app.stores.jobs.insert_jobs, JobStore.submit, DispatchStore.publish
sent: list[Step] = []


def die_if_armed(point: str) -> None:
    try:
        (DIRECTORY / point).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def insert_and_die(*arguments: object, **options: object) -> list[Job]:
    jobs = insert_jobs(*arguments, **options)
    die_if_armed("before-commit")
    return jobs


def submit_and_die(*arguments: object, **options: object) -> Job:
    job = submit(*arguments, **options)
    die_if_armed("after-commit")
    return job


def publish_and_die(
    self: DispatchStore,
    send: Callable[[Step], None],
    empty_queues: Collection[Queue] | None = None,
) -> int:
    def send_and_die(step: Step) -> None:
        send(step)
        die_if_armed("after-publish")
        sent.append(step)

    try:
        return publish(self, send_and_die, empty_queues)
    finally:
        sent.clear()


def die_before_mark(connection: Connection) -> None:
    """Steps are marked as sent when this commits."""
    if sent:
        die_if_armed("before-mark")


app.stores.jobs.insert_jobs = insert_and_die
JobStore.submit = submit_and_die  # type: ignore[method-assign]
DispatchStore.publish = publish_and_die  # type: ignore[method-assign]
event.listen(Engine, "commit", die_before_mark)
