"""Identifiers in addresses."""

from __future__ import annotations

import uuid


def parsed_uuid(text: str) -> uuid.UUID:
    """Return the identifier that is written as answers write it; ValueError for all else.

    :class:`uuid.UUID` itself also takes braces, blanks, line ends and the digits of every script,
    and what stands in an address goes on into headers.
    """
    parsed = uuid.UUID(text)
    if str(parsed) != text.lower():
        raise ValueError("another spelling")
    return parsed
