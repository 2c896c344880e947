"""Requests that may be repeated: what an ``Idempotency-Key`` has made already."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, select
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
    if connection.execute(row.on_conflict_do_nothing()).rowcount:
        return None
    before = connection.execute(
        select(IdempotencyRow.digest, IdempotencyRow.resource).where(
            IdempotencyRow.owner == owner, IdempotencyRow.key == request.key
        )
    ).one()
    if before.digest != request.digest:
        raise KeyReused
    found: UUID = before.resource
    return found
