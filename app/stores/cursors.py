"""Opaque cursors: where a page of jobs ended."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from uuid import UUID

from ml.errors import OptionInvalid


def encode_cursor(created_at: datetime, job_id: UUID) -> str:
    """Return the cursor of the page that follows this job."""
    position = json.dumps([created_at.isoformat(), str(job_id)])
    return base64.urlsafe_b64encode(position.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[datetime, UUID]:
    """Return the position in a cursor; raise :class:`ml.errors.OptionInvalid`."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        created_at, job_id = json.loads(base64.b64decode(padded, b"-_", validate=True))
        return _in_utc(datetime.fromisoformat(created_at)), UUID(job_id)
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise OptionInvalid(
            "cursor is not one that a page of this list has given; allowed: next_cursor.",
            hint="Start again without a cursor.",
        ) from error


def _in_utc(moment: datetime) -> datetime:
    """Return the moment with the one offset that every database knows.

    Raises ValueError without an offset, OverflowError where UTC's calendar has no such moment.
    """
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment.astimezone(UTC)
