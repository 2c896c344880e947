"""The ``Prefer`` header (RFC 7240)."""

from __future__ import annotations

import re

_WAIT = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE)


def preferred_wait(header: str) -> int | None:
    """Return N of the first ``wait=N``, in seconds; None where there is none to be read.

    What a server does not understand in this header, RFC 7240 tells it to ignore.
    """
    found = _WAIT.search(header)
    return int(found[1]) if found else None
