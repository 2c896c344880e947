"""Requests that may be repeated: what an ``Idempotency-Key`` has made already."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from app.errors import KeyReused
from app.jobs import Repeatable
from app.models import IdempotencyRow


def made_before(
    connection: Connection, owner: str, request: Repeatable | None, resource: UUID
) -> UUID | None:
    """Return what the same request has made, or note that it makes ``resource`` now.

    A repetition that arrives while the first is at work waits for its transaction. Raises
    :class:`app.errors.KeyReused` where the key came with another body.
    """
    if request is None:
        return None
    row = insert(IdempotencyRow).values(
        owner=owner, key=request.key, digest=request.digest, resource=resource
    )
    # What is there is locked by that, so that it is not erased before this is over.
    touched = row.on_conflict_do_update(
        index_elements=[IdempotencyRow.owner, IdempotencyRow.key],
        set_={"created_at": IdempotencyRow.created_at},
    )
    found = connection.execute(
        touched.returning(IdempotencyRow.digest, IdempotencyRow.resource)
    ).one()
    if found.resource == resource:
        return None
    if found.digest != request.digest:
        raise KeyReused
    before: UUID = found.resource
    return before
