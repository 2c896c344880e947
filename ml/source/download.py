"""Downloads a link in a process of its own, and ends that process when told to.

Name lookups, TLS and extractors can all hang beyond what Python can interrupt; a process
can be killed at any moment. It also keeps hostile pages away from this process's memory,
environment and open files.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from ml.errors import SourceTimeout, SourceTooLarge, SourceUnsupported, catalogue
from ml.options import SourceOptions
from ml.source.addresses import AddressPolicy
from ml.source.cookies import read_cookies
from ml.source.isolated import OUTPUT, Request

_POLL_SECONDS = 0.1
_PATH = "/usr/local/bin:/usr/bin:/bin"
_MEGABYTE = 1_000_000


def download(
    url: str,
    directory: Path,
    options: SourceOptions,
    *,
    progress: Callable[[float, str], None] = lambda fraction, detail: None,
    check: Callable[[], None] = lambda: None,
) -> Path:
    """Download one recording into ``directory`` and return the file.

    ``check`` is called ten times a second; when it raises, the download is killed.

    Raises:
        SourceError: it could not be had, see each error.
        MediaNoAudio: it has no sound.
        SettingInvalid: the cookie file or an extractor's name is no good.

    """
    AddressPolicy(options.allowed_networks).check_url(url)
    request = Request(
        url=url,
        directory=str(directory),
        max_bytes=options.max_bytes,
        allowed_networks=options.allowed_networks,
        proxy=options.proxy,
        extractors=options.extractors,
        cookies=read_cookies(options.cookie_file),
        jitter=options.jitter,
    )
    deadline = time.monotonic() + options.timeout + options.jitter
    with _process(request, directory) as events:
        while True:
            check()
            if time.monotonic() > deadline:
                raise SourceTimeout()
            if _bytes_in(directory) > options.max_bytes:
                raise SourceTooLarge()
            try:
                event = events.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if event["event"] == "done":
                return directory / OUTPUT
            if event["event"] == "failed":
                raise _error(event)
            progress(*_progress(event["received"], event["expected"]))


@contextlib.contextmanager
def _process(request: Request, directory: Path) -> Iterator[queue.Queue[dict[str, Any]]]:
    """Start the download process, yield its events, and kill it in the end."""
    home = str(directory)
    process = subprocess.Popen(
        [sys.executable, "-I", "-m", "ml.source.isolated"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=home,
        # Nothing of ours: proxies, credentials and Python settings stay out.
        env={"PATH": _PATH, "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8"},
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    events: queue.Queue[dict[str, Any]] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process.stdout, events), daemon=True)
    reader.start()
    try:
        # A process that died at once shows in its events.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(asdict(request)).encode() + b"\n")
            process.stdin.flush()
        yield events
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.join()
        process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def _read(stream: IO[bytes], events: queue.Queue[dict[str, Any]]) -> None:
    """Pass events on; the end of the stream without a result is a failure too."""
    try:
        for line in stream:
            # A process that is killed leaves half a line.
            with contextlib.suppress(ValueError):
                events.put(json.loads(line))
    finally:
        events.put({"event": "failed", "code": SourceUnsupported.code, "text": None, "hint": None})


def _error(event: dict[str, Any]) -> Exception:
    kind = catalogue().get(event["code"], SourceUnsupported)
    return kind(event["text"], hint=event["hint"])


def _bytes_in(directory: Path) -> int:
    """Return the size of all files, also of those that are just being renamed or removed."""
    total = 0
    for path in directory.iterdir():
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


def _progress(received: int, expected: int | None) -> tuple[float, str]:
    done = f"{received / _MEGABYTE:.1f}"
    if not expected or expected < received:
        return 0.0, f"{done} MB"
    return received / expected, f"{done} of {expected / _MEGABYTE:.1f} MB"
