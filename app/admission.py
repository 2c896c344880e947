"""Which new jobs are let in, and how they are written down."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Date, cast, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from app.errors import AudioQuotaExceeded, JobQuotaExceeded, QueueFull
from app.jobs import FIRST_STEP, JobStatus, NewJob, Quotas
from app.models import JobRow, StepRow, UsageRow
from app.wakeup import notify

_OPEN = (JobStatus.QUEUED, JobStatus.RUNNING)
_TODAY = cast(func.timezone("UTC", func.now()), Date)


def admit(connection: Connection, owner: str, count: int, quotas: Quotas) -> None:
    """Let in so many new jobs of an owner, or raise.

    Where there is a quota, an owner's submissions wait for each other, so that it is exact.

    Raises:
        QueueFull: too many jobs wait already.
        JobQuotaExceeded: the owner would have more open jobs than allowed.
        AudioQuotaExceeded: the owner has used up today's audio.

    """
    queued = select(JobRow.id).where(JobRow.status == JobStatus.QUEUED).limit(quotas.max_queued)
    if _count(connection, queued.subquery()) + count > quotas.max_queued:
        raise QueueFull
    if quotas.jobs_at_once:
        connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:owner, 0))"), {"owner": owner}
        )
        mine = select(JobRow.id).where(JobRow.owner == owner, JobRow.status.in_(_OPEN))
        if _count(connection, mine.subquery()) + count > quotas.jobs_at_once:
            raise JobQuotaExceeded
    if quotas.audio_seconds_a_day:
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


def insert_jobs(
    connection: Connection, jobs: Mapping[uuid.UUID, NewJob], batch_id: uuid.UUID | None = None
) -> None:
    """Write down jobs with their first steps; they run once the transaction commits."""
    connection.execute(
        insert(JobRow),
        [
            _columns(new)
            | {"id": job_id, "batch_id": batch_id, "batch_index": index if batch_id else None}
            for index, (job_id, new) in enumerate(jobs.items())
        ],
    )
    connection.execute(insert(StepRow), [_first_step(i, new) for i, new in jobs.items()])
    notify(connection)


def _columns(new: NewJob) -> dict[str, Any]:
    callback = new.callback
    return {
        "owner": new.owner,
        "kind": new.kind,
        "source": storable(new.source),
        "title": storable(new.title) if new.title else None,
        "options": dict(new.options),
        "callback_url": callback.url if callback else None,
        "callback_result": callback is not None and callback.with_result,
        "request_id": new.origin.request_id,
        "trace": new.origin.trace,
    }


def _first_step(job_id: uuid.UUID, new: NewJob) -> dict[str, Any]:
    stage, queue = FIRST_STEP[new.kind]
    return {"job_id": job_id, "stage": stage, "part": 0, "parts": 1, "queue": queue}


def storable(text: str) -> str:
    """Drop what Postgres cannot hold in text: NUL characters and halves of surrogate pairs."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _count(connection: Connection, rows: Any) -> int:
    return int(connection.execute(select(func.count()).select_from(rows)).scalar_one())
