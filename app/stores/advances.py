"""How a running job moves from stage to stage, and back to the first where it must.

The caller holds the job's lock, and tells the dispatchers.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, Update, delete, exists, func, insert, or_, select, update

from app.jobs import FIRST_STEP, OPEN_JOBS, Claim, NextStage, Progress
from app.models import JobRow, StepRow
from app.stores.deletions import keys_of
from app.stores.fence import fence

MAX_REWINDS = 5
"""How often one job may begin again; a store that loses more than that is broken."""


def advance(
    connection: Connection, job_id: UUID, following: NextStage, blobs: Sequence[str] = ()
) -> None:
    """Make the next stage ready; ``blobs`` are the keys that its steps start with."""
    connection.execute(
        insert(StepRow),
        [
            {
                "job_id": job_id,
                "stage": following.name,
                "part": part,
                "parts": following.parts,
                "queue": following.queue,
                "blobs": list(blobs) or None,
            }
            for part in range(following.parts)
        ],
    )
    connection.execute(
        update(JobRow)
        .where(JobRow.id == job_id)
        .values(progress=func.greatest(JobRow.progress, following.progress), detail="")
    )


def begin_again(connection: Connection, claim: Claim) -> bool:
    """Put a job's first step in the place of all; return False if that was done too often.

    What its steps have written is kept in mind, so that erasing the job still finds it.
    """
    counted = connection.execute(
        update(JobRow)
        .where(JobRow.id == claim.job_id, JobRow.rewinds < MAX_REWINDS)
        .values(rewinds=JobRow.rewinds + 1)
    )
    if not counted.rowcount:
        return False
    keys = sorted(key for _, key in keys_of(connection, [claim.job_id]))
    connection.execute(delete(StepRow).where(StepRow.job_id == claim.job_id))
    stage, queue = FIRST_STEP[claim.kind]
    advance(connection, claim.job_id, NextStage(stage, queue, 1, 0.0), keys)
    return True


def progress_of_job(claim: Claim, progress: Progress) -> Update:
    """Return the statement that tells a job how far a step is, if that is news.

    It locks no other row, so the fence is looked at again: the step may just have ended.
    """
    over_parts = (
        select(func.avg(StepRow.progress))
        .where(StepRow.job_id == claim.job_id, StepRow.stage == claim.stage)
        .scalar_subquery()
    )
    reached = func.greatest(
        JobRow.progress, func.least(1, progress.base + progress.span * func.coalesce(over_parts, 0))
    )
    news = or_(JobRow.progress < reached, JobRow.detail != progress.detail)
    held = exists().where(*fence(claim))
    return (
        update(JobRow)
        .where(JobRow.id == claim.job_id, JobRow.status.in_(OPEN_JOBS), held, news)
        .values(progress=reached, detail=progress.detail)
    )
