"""The download process: ``python -I -m ml.source.isolated``.

Reads one request as a JSON line from standard input and writes events as JSON lines to
standard output: ``progress``, then ``done`` or ``failed``. What libraries print goes nowhere.
It ends when its parent does: standard input stays open for as long as somebody waits for the
result.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any

from ml.errors import EmotionClfError, SourceForbiddenAddress, SourceUnsupported
from ml.source.addresses import AddressPolicy
from ml.source.direct import download_direct
from ml.source.guard import Guard

OUTPUT = "download"
"""Name of the file in the download directory: never one that a server chose."""
_REPORT_SECONDS = 0.25


def main() -> None:
    """Serve one request."""
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    events = _take_standard_output()
    directory = Path(request["directory"])
    policy = AddressPolicy(tuple(request["allowed_networks"]))
    guard = Guard(policy, directory)
    guard.install(request["max_bytes"])
    try:
        report = _Reporter(events)
        _download(request["url"], directory / OUTPUT, policy, request["max_bytes"], report)
        _emit(events, event="done")
    except Exception as error:
        known = SourceForbiddenAddress() if guard.refused_address else _known(error)
        _emit(events, event="failed", code=known.code, text=known.text, hint=known.advice)


def _take_standard_output() -> IO[str]:
    """Return standard output for events alone; whatever else is written there is dropped."""
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return events


def _download(
    url: str, target: Path, policy: AddressPolicy, max_bytes: int, report: _Reporter
) -> None:
    if download_direct(url, target, policy, max_bytes, report):
        return
    # Imported late: it takes a second, and plain links do without.
    from ml.source.extractor import download_extracted

    download_extracted(url, target, max_bytes, report)


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
