"""Which new jobs are let in, and how they are written down."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import (
    Connection,
    Date,
    Select,
    String,
    bindparam,
    cast,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert as upsert

from app.errors import AudioQuotaExceeded, JobQuotaExceeded, QueueFull, RateLimited
from app.jobs import FIRST_STEP, OPEN_JOBS, Job, JobStatus, Kind, NewJob, Quotas
from app.models import JobRow, StepRow, UsageRow
from app.stores.job_rows import JOB, job_of

_COUNT_SECONDS = 1.0
_TODAY = cast(func.timezone("UTC", func.now()), Date)


class QueueRoom:
    """How many more jobs may wait. Safe to share between threads.

    Counting the queue for each job would make submitting slower the longer the queue is. So half
    of the room that was counted is given away without counting again, for a second at most; the
    limit may be passed by that much where several processes submit.
    """

    def __init__(self, max_queued: int) -> None:
        self._max_queued = max_queued
        self._lock = threading.Lock()
        self._given = 0
        self._until = 0.0

    def take(self, connection: Connection, count: int) -> None:
        """Take room for so many jobs; raise :class:`app.errors.QueueFull` where there is none."""
        with self._lock:
            if count <= self._given and time.monotonic() < self._until:
                self._given -= count
                return
        queued = select(JobRow.id).where(JobRow.status == JobStatus.QUEUED).limit(self._max_queued)
        left = self._max_queued - _count(connection, queued.subquery()) - count
        if left < 0:
            raise QueueFull
        with self._lock:
            self._given, self._until = left // 2, time.monotonic() + _COUNT_SECONDS


def take_turns(quotas: Quotas, *, counted: bool) -> bool:
    """Whether an owner's submissions wait for each other, because their jobs are counted."""
    return bool(quotas.jobs_at_once or (quotas.creations_a_minute and not counted))


def admit(
    connection: Connection,
    owner: str,
    kinds: Collection[Kind],
    quotas: Quotas,
    room: QueueRoom,
    *,
    counted: bool = True,
) -> None:
    """Let in new jobs of an owner, of these kinds, or raise.

    Where there is a quota, an owner's submissions wait for each other, so that it is exact. Texts
    have no audio, and are let in when that is used up. ``counted`` says whether a rate limiter has
    counted the submission; otherwise it is counted here.

    Raises:
        QueueFull: too many jobs wait already.
        RateLimited: the owner has submitted too often in the last minute.
        JobQuotaExceeded: the owner would have more open jobs than allowed.
        AudioQuotaExceeded: the owner has used up today's audio.

    """
    room.take(connection, len(kinds))
    haste = 0 if counted else quotas.creations_a_minute
    if take_turns(quotas, counted=counted):
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:owner, 0))"), {"owner": owner}
        )
    if haste:
        _admit_pace(connection, owner, haste)
    if quotas.jobs_at_once:
        mine = select(JobRow.id).where(JobRow.owner == owner, JobRow.status.in_(OPEN_JOBS))
        if _count(connection, mine.subquery()) + len(kinds) > quotas.jobs_at_once:
            raise JobQuotaExceeded
    if quotas.audio_seconds_a_day and set(kinds) != {"text"}:
        used = select(UsageRow.audio_seconds).where(UsageRow.owner == owner, UsageRow.day == _TODAY)
        if (connection.execute(used).scalar_one_or_none() or 0) >= quotas.audio_seconds_a_day:
            raise AudioQuotaExceeded


def charge(connection: Connection, owner: str, seconds: float, quotas: Quotas) -> None:
    """Note that an owner's recording is worked on; raise AudioQuotaExceeded beyond the quota."""
    row = upsert(UsageRow).values(owner=owner, day=_TODAY, audio_seconds=seconds)
    used = connection.execute(
        row.on_conflict_do_update(
            index_elements=[UsageRow.owner, UsageRow.day],
            set_={"audio_seconds": UsageRow.audio_seconds + seconds},
        ).returning(UsageRow.audio_seconds)
    ).scalar_one()
    if 0 < quotas.audio_seconds_a_day < used:
        raise AudioQuotaExceeded


def _admit_pace(connection: Connection, owner: str, most: int) -> None:
    """Raise RateLimited where an owner has submitted so often in the last minute."""
    minute = text("interval '1 minute'")
    wait = func.extract("epoch", func.min(JobRow.created_at) + minute - func.now())
    lately = select(func.count(), wait).where(
        JobRow.owner == owner,
        JobRow.created_at > func.now() - minute,
        # Of a batch the first job stands for all.
        func.coalesce(JobRow.batch_index, 0) == 0,
    )
    made, seconds = connection.execute(lately).one()
    if made >= most:
        raise RateLimited.after(float(seconds))


def insert_jobs(
    connection: Connection, jobs: Mapping[uuid.UUID, NewJob], batch_id: uuid.UUID | None = None
) -> list[Job]:
    """Write down jobs with their first steps; they run once the transaction commits."""
    inserted = []
    for index, (job_id, new) in enumerate(jobs.items()):
        place = {"batch_id": batch_id, "batch_index": index if batch_id else None}
        values = {"id": job_id, **place, **_columns(new)}
        row = connection.execute(_INSERT, {f"new_{name}": value for name, value in values.items()})
        inserted.append(job_of(row.one()))
    return inserted


def _columns(new: NewJob) -> dict[str, Any]:
    callback = new.callback
    stage, queue = FIRST_STEP[new.kind]
    return {
        "owner": new.owner,
        "kind": new.kind,
        "source": storable(new.source),
        "title": storable(new.title) if new.title else None,
        "options": dict(new.options),
        "callback_url": storable(callback.url) if callback else None,
        "callback_result": callback is not None and callback.with_result,
        "request_id": new.origin.request_id,
        "trace": new.origin.trace,
        "first_stage": stage,
        "first_queue": queue,
        "first_blobs": [new.source] if new.kind == "upload" else None,
    }


def _insertion() -> Select[Any]:
    """Return the statement that inserts a job and its step and returns the job."""
    columns = [
        *("id", "owner", "kind", "source", "title", "options", "batch_id", "batch_index"),
        *("callback_url", "callback_result", "request_id", "trace"),
    ]
    types = JobRow.__table__.c
    # Parameters must not be called like columns, or SQLAlchemy adds those to each insertion.
    job = insert(JobRow).values(
        {name: bindparam(f"new_{name}", type_=types[name].type) for name in columns}
    )
    step = insert(StepRow).values(
        job_id=bindparam("new_id", type_=types.id.type),
        part=0,
        parts=1,
        stage=bindparam("new_first_stage", type_=String()),
        queue=bindparam("new_first_queue", type_=String()),
        blobs=bindparam("new_first_blobs", type_=StepRow.__table__.c.blobs.type),
    )
    return select(job.returning(*JOB).cte("job")).add_cte(step.cte("step"))


_INSERT = _insertion()


def storable(text: str) -> str:
    """Drop what Postgres cannot hold in text: NUL characters and halves of surrogate pairs."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _count(connection: Connection, rows: Any) -> int:
    return int(connection.execute(select(func.count()).select_from(rows)).scalar_one())
