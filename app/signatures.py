"""How reports to other servers are signed, so that a receiver can tell them from forgeries."""

from __future__ import annotations

import hmac


def signing_key(secret: str, owner: str) -> str:
    """Return the key that signs what is sent to the callbacks of `owner`, in hex.

    Derived, not stored: nobody can read it from the database, and a client's key is worth
    nothing for another client.
    """
    return hmac.new(secret.encode(), owner.encode(), "sha256").hexdigest()


def sign(key: str, timestamp: int, body: bytes) -> str:
    """Return the HMAC-SHA256 of `timestamp`, a dot and `body`, in hex.

    `timestamp` is in seconds since the epoch. It is signed too, so that a receiver can refuse
    an old report that is sent again.
    """
    return hmac.new(key.encode(), f"{timestamp}.".encode() + body, "sha256").hexdigest()
