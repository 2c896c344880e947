"""Clients that submit jobs over HTTP, and the history of what they asked and were told."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from http import HTTPStatus
from threading import Lock
from uuid import UUID

import requests
from durability.cluster import Cluster

BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


class Clients:
    """Some clients that never give up: each request carries a key and is repeated under it.

    The history is a file that only grows: a line before each request, since its answer may
    never come, and one with the answer.
    """

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._address = cluster.address
        self._history = cluster.directory / f"{name}-{uuid.uuid4().hex[:8]}.jsonl"
        self._lock = Lock()
        self._pool = ThreadPoolExecutor(3)

    def submit(self, text: str, *, repeatable: bool = True) -> UUID:
        """Submit a job again and again until it is accepted."""
        key = uuid.uuid4().hex
        while True:
            answer = self.ask(text, key if repeatable else None)
            if answer is not None and answer.status_code not in BUSY:
                assert answer.status_code == HTTPStatus.ACCEPTED, answer.text
                return UUID(answer.json()["id"])
            time.sleep(0.1)

    def ask(self, text: str, key: str | None) -> requests.Response | None:
        """Ask once; return None where no answer came."""
        headers = {"Idempotency-Key": key} if key else {}
        self._note("ask", key, text)
        try:
            answer = requests.post(
                f"{self._address}/jobs", json={"text": text}, headers=headers, timeout=10
            )
        except requests.RequestException as error:
            self._note("unknown", key, type(error).__name__)
            return None
        told = answer.json().get("id") if answer.status_code == HTTPStatus.ACCEPTED else None
        self._note(str(answer.status_code), key, told)
        return answer

    def submit_all(
        self,
        texts: Sequence[str],
        may_go: Callable[[], object] = lambda: None,
        *,
        repeatable: bool = True,
    ) -> Submissions:
        """Submit texts from several threads, each once ``may_go`` returns."""

        def paced(text: str) -> UUID:
            may_go()
            return self.submit(text, repeatable=repeatable)

        return Submissions([self._pool.submit(paced, text) for text in texts])

    def acknowledged(self) -> dict[str, set[UUID]]:
        """Return the jobs that were promised under each key."""
        found: dict[str, set[UUID]] = defaultdict(set)
        for line in self._history.read_text().splitlines():
            event = json.loads(line)
            if event["event"] == str(HTTPStatus.ACCEPTED.value):
                found[event["key"]].add(UUID(event["value"]))
        return found

    def texts(self) -> dict[str, str]:
        """Return what was asked under each key."""
        events = map(json.loads, self._history.read_text().splitlines())
        return {e["key"]: e["value"] for e in events if e["event"] == "ask" and e["key"]}

    def _note(self, event: str, key: str | None, value: str | None) -> None:
        line = json.dumps({"at": time.time(), "event": event, "key": key, "value": value})
        with self._lock, self._history.open("a") as history:
            history.write(f"{line}\n")


class Submissions:
    """What several clients are busy submitting."""

    def __init__(self, futures: Sequence[Future[UUID]]) -> None:
        self._futures = futures

    @property
    def done(self) -> bool:
        return all(future.done() for future in self._futures)

    @property
    def jobs(self) -> list[UUID]:
        """The jobs that were accepted; raises what went wrong with any."""
        return [future.result() for future in self._futures if future.done()]


def texts(count: int, seconds: float, generator: random.Random) -> list[str]:
    """Return texts that the stub stages take so long for, each different from all others."""
    return [f"{generator.getrandbits(64):x} {seconds} well" for _ in range(count)]
