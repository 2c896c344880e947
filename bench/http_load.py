"""Requests over kept-alive connections from several threads, and how long each took."""

from __future__ import annotations

import http.client
import json
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit


@dataclass(slots=True)
class Timing:
    """Durations of requests in seconds, and how long all of them took together."""

    seconds: list[float] = field(default_factory=list)
    wall: float = 0.0

    @property
    def rate(self) -> float:
        """Requests a second."""
        return len(self.seconds) / self.wall

    def quantile(self, fraction: float) -> float:
        """Return one duration in milliseconds: 0.5 is the median."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]

    @property
    def median(self) -> float:
        """The median in milliseconds."""
        return 1000 * statistics.median(self.seconds)


class Connection:
    """One kept-alive connection."""

    def __init__(self, base: str) -> None:
        address = urlsplit(base)
        self._http = http.client.HTTPConnection(address.hostname or "", address.port, timeout=120)

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Return the status and the decoded answer."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        data = None if body is None else json.dumps(body)
        self._http.request(method, path, data, sent)
        response = self._http.getresponse()
        answer = response.read()
        return response.status, json.loads(answer) if answer else None


def load(
    base: str, requests: Sequence[Any], send: Callable[[Connection, Any], Any], threads: int
) -> tuple[Timing, list[Any]]:
    """Send every request from ``threads`` threads; return the timing and what ``send`` returned."""
    timing, answers = Timing(), []
    waiting = iter(requests)
    lock = threading.Lock()

    def work() -> None:
        connection = Connection(base)
        while True:
            with lock:
                request = next(waiting, None)
            if request is None:
                return
            began = time.perf_counter()
            answer = send(connection, request)
            took = time.perf_counter() - began
            with lock:
                timing.seconds.append(took)
                answers.append(answer)

    began = time.perf_counter()
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    timing.wall = time.perf_counter() - began
    return timing, answers
