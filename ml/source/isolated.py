"""The download process: ``python -I -m ml.source.isolated``.

Reads one request as a JSON line from standard input and writes events as JSON lines to
standard output: ``progress``, then ``done`` or ``failed``. What libraries print goes nowhere.
It ends when its parent does: standard input stays open for as long as somebody waits for the
result.
"""

from __future__ import annotations

import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ml.errors import EmotionClfError, SourceForbiddenAddress, SourceUnsupported
from ml.source.addresses import AddressPolicy
from ml.source.direct import download_direct
from ml.source.guard import Guard
from ml.source.route import ProxyRoute, Route, route

OUTPUT = "download"
"""Name of the file in the download directory: never one that a server chose."""
_REPORT_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Request:
    """What the parent asks for; see :class:`ml.options.SourceOptions`."""

    url: str
    directory: str
    max_bytes: int
    allowed_networks: tuple[str, ...] = ()
    proxy: str | None = None
    extractors: tuple[str, ...] = ("default",)
    cookies: str | None = field(default=None, repr=False)
    """What the cookie file holds."""
    jitter: float = 0.0


def main() -> None:
    """Serve one request."""
    request = Request(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    events = _take_standard_output()
    try:
        _download_guarded(request, _Reporter(events))
        _emit(events, event="done")
    except Exception as error:
        known = _known(error)
        _emit(events, event="failed", code=known.code, text=known.text, hint=known.advice)


def _take_standard_output() -> IO[str]:
    """Return standard output for events alone; whatever else is written there is dropped."""
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return events


def _download_guarded(request: Request, report: Callable[[int, int | None], None]) -> None:
    # The proxy is looked up before the guard forbids lookups.
    way = route(request.proxy, tuple(request.allowed_networks))
    guard = Guard(way, Path(request.directory))
    guard.install(request.max_bytes)
    try:
        download_by(way, request, report)
    except Exception as error:
        if guard.refused_address:
            raise SourceForbiddenAddress() from error
        raise


def download_by(way: Route, request: Request, report: Callable[[int, int | None], None]) -> None:
    """Download what was asked for by a way out; raise a :class:`ml.errors.SourceError`."""
    target = Path(request.directory) / OUTPUT
    policy = AddressPolicy(tuple(request.allowed_networks))
    if download_direct(request.url, target, policy, request.max_bytes, report, route=way):
        return
    time.sleep(random.uniform(0, request.jitter))  # noqa: S311 - no secret
    # Imported late: it takes a second, and plain links do without.
    from ml.source.extractor import Access, download_extracted

    access = Access(
        proxy=way.url if isinstance(way, ProxyRoute) else None,
        extractors=tuple(request.extractors),
        cookies=request.cookies,
    )
    download_extracted(request.url, target, request.max_bytes, report, access)


def _known(error: Exception) -> EmotionClfError:
    return error if isinstance(error, EmotionClfError) else SourceUnsupported()


class _Reporter:
    """Sends progress to the parent a few times a second."""

    def __init__(self, events: IO[str]) -> None:
        self._events = events
        self._next = 0.0

    def __call__(self, received: int, expected: int | None) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _REPORT_SECONDS
            _emit(self._events, event="progress", received=received, expected=expected)


def _emit(events: IO[str], **event: Any) -> None:
    events.write(json.dumps(event) + "\n")
    events.flush()


def _end_with_parent() -> None:
    while sys.stdin.read(1):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
