"""Which artifacts belong to which jobs, and which shall be removed.

Everything that a step uses or makes is noted in its row before it is written. So the keys of a
job are those of its steps, and an artifact may go when no step of its owner names it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Text, any_, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, insert

from app.models import DeletionRow, JobRow, StepRow


def keys_of(connection: Connection, job_ids: Sequence[UUID]) -> set[tuple[str, str]]:
    """Return the owner and the key of each artifact that jobs use or have made."""
    key = func.jsonb_array_elements_text(StepRow.blobs)
    query = (
        select(JobRow.owner, key)
        .join(StepRow, StepRow.job_id == JobRow.id)
        .where(JobRow.id.in_(job_ids))
        .distinct()
    )
    return {(owner, key) for owner, key in connection.execute(query)}


def condemn(connection: Connection, artifacts: Collection[tuple[str, str]]) -> None:
    """Have artifacts, by owner and key, removed, unless a job refers to them when that is done."""
    if not artifacts:
        return
    # In order, so that two who condemn the same do not wait for each other in a circle.
    rows = [{"owner": owner, "key": key} for owner, key in sorted(artifacts)]
    row = insert(DeletionRow)
    # What somebody looks at just now may have been found needed by the job that goes here.
    # So wait for him: doing nothing would see his entry, which he is about to delete.
    again = row.on_conflict_do_update(
        index_elements=[DeletionRow.owner, DeletionRow.key],
        set_={"created_at": row.excluded.created_at},
    )
    connection.execute(again, rows)


def referred(
    connection: Connection, keys: Sequence[str], *which: ColumnElement[bool]
) -> set[tuple[str, str]]:
    """Return the owner and the key of those of the artifacts that some job refers to.

    ``which`` are the jobs that count; those that are being erased never do.
    """
    wanted = literal(list(keys), ARRAY(Text))
    noted = (
        select(StepRow.job_id, func.jsonb_array_elements_text(StepRow.blobs).label("key"))
        .where(StepRow.blobs.op("?|")(wanted))
        .subquery()
    )
    query = (
        select(JobRow.owner, noted.c.key)
        .join(noted, noted.c.job_id == JobRow.id)
        .where(noted.c.key == any_(wanted), ~JobRow.erasing, *which)
        .distinct()
    )
    return {(owner, key) for owner, key in connection.execute(query)}
