"""Why the egress proxy does not serve a request: for the log, never for the client."""

from __future__ import annotations


class NotServed(Exception):
    """A request that ends here."""

    verdict = "defect"

    def __init__(self, reason: str, host: str | None = None, port: int | None = None) -> None:
        self.reason = reason
        self.host = host
        self.port = port
        super().__init__(reason)


class Refused(NotServed):
    """It may not be served."""

    verdict = "refused"


class Failed(NotServed):
    """It may be served, and the host, or the proxy behind this one, does not play along."""

    verdict = "failed"


class Full(NotServed):
    """There are as many connections as there may be."""

    verdict = "full"
