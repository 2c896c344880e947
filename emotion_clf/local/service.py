"""The local service: broker, database, dispatcher, workers, API and queue dashboard."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

from emotion_clf.client import Client
from emotion_clf.local.processes import Child, Supervisor, undisturbed, wait_until
from emotion_clf.local.servers import Postgres, Redis, free_port, is_free
from ml.errors import ServiceError


def default_directory() -> Path:
    """Return where the local service keeps its data: XDG_DATA_HOME, or below the home."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "emotion-clf"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the parts of the service listen."""

    api: str
    docs: str
    flower: str


class LocalService:
    """Everything that a service needs, on one machine, below one directory.

    A context manager: leaving it stops every process that it started. Jobs, results and
    artifacts stay in the directory. One service a directory: a second one is refused.
    """

    def __init__(
        self, directory: Path, *, port: int | None = None, config: Path | None = None
    ) -> None:
        self.directory = directory.expanduser().resolve()
        self.logs = self.directory / "logs"
        self._port = port
        self._config = config
        self._lock: IO[str] | None = None
        self._supervisor = Supervisor()
        self._postgres: Postgres | None = None
        self._redis: Redis | None = None

    def __enter__(self) -> Self:
        self._take_lock()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def addresses(self) -> Addresses:
        """Where the parts of the running service listen."""
        return self._addresses

    @property
    def environment(self) -> dict[str, str]:
        """What the processes of the running service are told: where everything lies."""
        return self._environment

    @property
    def children(self) -> list[Child]:
        """The processes of the service, without broker and database."""
        return self._supervisor.children

    def watch(self) -> None:
        """Keep the service up until SIGINT or SIGTERM arrives."""
        stopping = False

        def stop(number: int, frame: FrameType | None) -> None:
            nonlocal stopping
            stopping = True

        previous = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            while not stopping:
                self.tend()
                time.sleep(0.2)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def tend(self) -> None:
        """Start again whatever ended; call it about every second."""
        for server in (self._postgres, self._redis):
            if server and not server.running:
                self._start_again(server)
        for name in self._supervisor.tend():
            sys.stderr.write(f"{name} ended and is started again; see {self.logs}/{name}.log\n")

    def _start_again(self, server: Postgres | Redis) -> None:
        sys.stderr.write(f"A server ended and is started again; see {server.directory}\n")
        try:
            server.start()
        except ServiceError as error:
            # PostgreSQL refuses while processes of the killed one still end; the next try
            # comes with the next look.
            sys.stderr.write(f"{error}\n")

    def stop(self) -> None:
        """Stop every process, workers first, the database last; signals do not hurry it."""
        with undisturbed():
            self._supervisor.stop()
            for server in (self._redis, self._postgres):
                if server:
                    server.stop()
            if self._lock:
                self._lock.close()
                self._lock = None

    def _take_lock(self) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        self._lock = (self.directory / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceError(
                f"Another emotion-clf service runs on {self.directory}.",
                hint="Stop it, or choose another directory with --data.",
            ) from None

    def _start(self) -> None:
        if self._port and not is_free(self._port):
            raise ServiceError(f"Port {self._port} is in use.", hint="Choose another with --port.")
        self._postgres = Postgres(self.directory / "postgres")
        self._redis = Redis(self.directory / "redis")
        self._postgres.start()
        self._redis.start()
        self._environment = environment = {
            "DATABASE_URL": self._postgres.url,
            "REDIS_URL": self._redis.url,
            "ARTIFACT_URL": f"file://{self.directory}/artifacts",
        }
        if self._config:
            environment["EMOTION_CLF_CONFIG"] = str(self._config.resolve())
        self._migrate(environment)
        port = self._port or _preferred_port(8000)
        flower = free_port()
        self._addresses = Addresses(
            api=f"http://127.0.0.1:{port}",
            docs=f"http://127.0.0.1:{port}/docs",
            flower=f"http://127.0.0.1:{flower}",
        )
        for name, command in _commands(port, flower).items():
            self._supervisor.add(
                Child(name, command, log=self.logs / f"{name}.log", environment=environment)
            )
        self._wait_until_ready()

    def _migrate(self, environment: dict[str, str]) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "migrations.run"],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            log = self.logs / "migrations.log"
            log.write_text(done.stdout + done.stderr)
            raise ServiceError(f"The database could not be brought up to date; see {log}.")

    def _wait_until_ready(self) -> None:
        api = next(child for child in self.children if child.name == "api")
        wait_until(lambda: self._ready(api), 120, "The service", api)

    def _ready(self, api: Child) -> bool:
        # An API that ended is not started again here: had somebody else just taken its port,
        # it would end each time, and the answer would be theirs.
        if not api.running:
            return False
        self.tend()
        return Client(self.addresses.api).ready() and api.running


def _preferred_port(preferred: int) -> int:
    """Return the preferred port if it is free, else any free one."""
    return preferred if is_free(preferred) else free_port()


def _commands(port: int, flower: int) -> dict[str, list[str]]:
    """Return the command of each process."""
    python = [sys.executable, "-m"]
    return {
        "worker-gpu": [*python, "workers.main", "gpu"],
        "worker-cpu": [*python, "workers.main", "cpu"],
        "dispatcher": [*python, "workers.dispatcher"],
        "api": [*python, "app.api", "--host", "127.0.0.1", "--port", str(port)],
        "flower": [
            *python,
            "celery",
            "-A",
            "workers.celery_app",
            "flower",
            "--address=127.0.0.1",
            f"--port={flower}",
            # It keeps all that it saw in memory; what happened stands in the database.
            "--max_tasks=1000",
        ],
    }
