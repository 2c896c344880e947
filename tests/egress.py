"""The egress proxy as a process of its own, for the tests that go through it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NAMES = {
    "outside.test": [["127.0.0.2"]],
    "inside.test": [["127.0.0.1"]],
    "mixed.test": [["127.0.0.2", "127.0.0.1"]],
    "six.test": [["::1"]],
    "mapped.test": [["::ffff:127.0.0.1"]],
    "rebind.test": [["127.0.0.2"], ["127.0.0.1"]],
}
"""What names resolve to in the processes that are started here, one list for each lookup in turn.
The listed network is 127.0.0.2, so 127.0.0.1 is as private as anything."""
OUTSIDE = "127.0.0.2/32"


def with_names(code: str) -> list[str]:
    """Return the command for a Python process in which :data:`NAMES` resolve, and no other name."""
    prelude = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import egress; "
    return [sys.executable, "-c", f"{prelude}egress.resolve_names(); {code}"]


def resolve_names() -> None:
    """Replace this process's resolver."""
    import itertools
    import socket

    look_up = socket.getaddrinfo
    answers = {name: itertools.cycle(lists) for name, lists in NAMES.items()}

    def getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        text = host.decode() if isinstance(host, bytes) else str(host)
        name = text.lower().rstrip(".")
        if name not in answers:
            if name.endswith(".test") or (name[-1:].isalpha() and name != "localhost"):
                raise socket.gaierror(socket.EAI_NONAME, "unknown")
            return look_up(host, port, *arguments, **options)
        found = []
        for address in next(answers[name]):
            found += look_up(address, port, *arguments, **options)
        return found

    socket.getaddrinfo = getaddrinfo


class Egress:
    """A running egress proxy."""

    def __init__(self, **settings: str) -> None:
        environment = {
            "PATH": os.defpath,
            "EMOTION_CLF_EGRESS__PORT": "0",
            "EMOTION_CLF_SOURCE__ALLOWED_NETWORKS": OUTSIDE,
        } | {f"EMOTION_CLF_{name.upper()}": value for name, value in settings.items()}
        code = "import runpy; runpy.run_module('workers.egress', run_name='__main__')"
        self.process = subprocess.Popen(
            with_names(code), stderr=subprocess.PIPE, text=True, env=environment, cwd=ROOT
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.port = int(self.line()["port"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def line(self) -> dict[str, Any]:
        """Return the next line of its log."""
        return dict(json.loads(self._lines.get(timeout=20)))

    def _read(self) -> None:
        """Read what it logs, so that it never waits for a reader."""
        assert self.process.stderr is not None
        for text in self.process.stderr:
            self._lines.put(text)

    def stop(self) -> list[dict[str, Any]]:
        """End it as an operator does, and return the rest of its log."""
        self.process.terminate()
        assert self.process.wait(timeout=20) == 0
        self._reader.join(timeout=20)
        return [self.line() for _ in range(self._lines.qsize())]


@contextmanager
def running(**settings: str) -> Iterator[Egress]:
    """Run a proxy with some settings, such as ``egress__connections="2"``."""
    proxy = Egress(**settings)
    try:
        yield proxy
    finally:
        proxy.process.kill()
        proxy.process.wait()


@pytest.fixture(scope="module")
def egress() -> Iterator[Egress]:
    """A proxy that the tests of one module share."""
    with running() as proxy:
        yield proxy
