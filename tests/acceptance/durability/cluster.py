"""A whole service of real processes that a test may ill-treat, and the history it leaves."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from glob import glob
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import redis
import requests
import sqlalchemy as sa
from durability.blackhole import TcpProxy
from durability.history import HISTORY, open_jobs

from app.jobs import Job, NewJob
from app.storage import store_of
from app.stores.jobs import JobStore
from emotion_clf.local.processes import Child
from emotion_clf.local.servers import Postgres, Redis, free_port
from migrations.run import upgrade
from ml.artifacts import ArtifactStore
from ml.errors import ServiceError
from workers.scratch import PREFIX

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
OWNER = "local"
STUBS = ("stubs",)
SETTINGS = {
    "EMOTION_CLF_JOBS__LEASE_SECONDS": "3",
    "EMOTION_CLF_JOBS__REPUBLISH_SECONDS": "2",
    "EMOTION_CLF_JOBS__DRAIN_SECONDS": "1",
    "EMOTION_CLF_JOBS__CPU_CONCURRENCY": "1",
    # What is tested is whether jobs survive, not how many a client may submit.
    "EMOTION_CLF_LIMITS__CREATIONS_A_MINUTE": "0",
    "EMOTION_CLF_LIMITS__READS_A_MINUTE": "0",
}
"""Quick enough for a test; in production a lease lasts a minute."""

SERVERS = ("postgres", "redis")


class Cluster:
    """The processes over a database and a broker; the test plays the supervisor.

    They reach the servers through proxies, which can fall silent. The test itself does not.
    """

    def __init__(self, directory: Path, postgres: Postgres, broker: Redis) -> None:
        self.directory = directory
        self.postgres = postgres
        self.broker = broker
        self.proxies = {
            "postgres": TcpProxy("127.0.0.1", postgres.port),
            "redis": TcpProxy("127.0.0.1", broker.port),
        }
        self.processes: dict[str, Child] = {}
        self.redis = redis.Redis.from_url(broker.url)
        self.artifact_url = f"file://{directory}/artifacts"
        self.scratch = directory / "scratch"
        self.scratch.mkdir()
        self.failpoints = directory / "failpoints"
        self.failpoints.mkdir()
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        upgrade(postgres.url)
        # Who watches must not stumble over the crashes that it causes.
        self.engine = sa.create_engine(postgres.url, pool_pre_ping=True)
        self.jobs = JobStore(self.engine)
        self.clear()

    def close(self) -> None:
        """Stop what the cluster itself started."""
        self.stop()
        self.engine.dispose()
        for proxy in self.proxies.values():
            proxy.close()

    def clear(self) -> None:
        """Forget the jobs of the test before, and their history."""
        with self.engine.begin() as connection:
            connection.execute(sa.text("TRUNCATE jobs CASCADE"))
            connection.exec_driver_sql(HISTORY)
        self.redis.flushall()

    def idle(self) -> None:
        """Wait until everything is up, and forget what was done."""
        self.until(lambda: set(self.up()) == set(self.processes), seconds=90)
        self.clear()

    def start(self, *names: str, faults: Sequence[str] = STUBS, **settings: str) -> None:
        """Start processes, and wait until they work: dispatcher, cpu, gpu-1, gpu-2."""
        for name in names:
            self.processes[name] = self._child(name, faults, settings)
            self.processes[name].start()
        self.until(lambda: set(names) <= set(self.up()), seconds=90)

    def stop(self, *names: str) -> None:
        """Stop processes as an operator does; without names all of them."""
        chosen = [self.processes.pop(name) for name in names or list(self.processes)]
        for child in chosen:
            child.signal("SIGCONT")
            child.signal("SIGTERM")
        for child in chosen:
            child.stop(timeout=8)

    @contextmanager
    def replaced(self, *names: str, faults: Sequence[str] = (), **settings: str) -> Iterator[None]:
        """Run processes with faults or other settings meanwhile."""
        self.stop(*names)
        self.start(*names, faults=[*STUBS, *faults], **settings)
        try:
            yield
        finally:
            self.stop(*names)
            self.start(*names)

    def kill(self, name: str, *, back_after: float = 0.0) -> None:
        """End a process as a crash does; the kernel ends the children of a worker with it.

        A server is started again after some seconds, a process by whoever waits next.
        """
        if name not in SERVERS:
            self.processes[name].signal("SIGKILL")
            return
        server = self.postgres if name == "postgres" else self.broker
        assert server.pid
        # By hand: kill() asks Postgres to crash in good order.
        os.kill(server.pid, signal.SIGKILL)
        self.until(lambda: not server.running, seconds=10)
        time.sleep(back_after)
        self._start_again(server)

    def _start_again(self, server: Postgres | Redis) -> None:
        for _ in range(20):
            with suppress(ServiceError):
                server.start()
                return
            # Processes of the dead one still hold its memory.
            time.sleep(0.25)
        server.start()

    def up(self) -> list[str]:
        """Return the processes that do their work: registered workers, listening dispatchers."""
        registered = {row.pid for row in self.rows("SELECT pid FROM workers")}
        listening = self.count("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'")
        works = {"dispatcher": lambda child: listening > 0, "api": lambda child: self._answers()}
        return [
            name
            for name, child in self.processes.items()
            if child.running and works.get(name, lambda child: child.pid in registered)(child)
        ]

    def submit(self, count: int, seconds: float, behaviour: str = "well") -> list[UUID]:
        texts = [f"{random.getrandbits(64):x} {seconds} {behaviour}" for _ in range(count)]
        return [self.jobs.submit(NewJob("text", text)).id for text in texts]

    def upload(self, recording: Path, **options: dict[str, object]) -> UUID:
        """Submit a recording, with options by section."""
        key = f"uploads/{recording.name}"
        store_of(OWNER, ArtifactStore(self.artifact_url)).write_file(key, recording)
        return self.jobs.submit(NewJob("upload", key, options)).id

    def ready(self) -> bool:
        """Whether the API says that jobs can be worked on; no answer is a no, as to a balancer."""
        return self._answers("/health/ready", seconds=5)

    def _answers(self, path: str = "/health", seconds: float = 1) -> bool:
        try:
            return requests.get(f"{self.address}{path}", timeout=seconds).ok
        except requests.RequestException:
            return False

    def until_nothing_is_left(self) -> None:
        """Wait until no worker, dead or alive, keeps the files of a step."""
        self.until(lambda: not self._files_of_steps(), seconds=20)

    def _files_of_steps(self) -> list[str]:
        # Unlike pathlib's, this glob does not mind what vanishes meanwhile.
        found = glob("**/emotion-clf-*", root_dir=self.scratch, recursive=True)  # noqa: PTH207
        return [path for path in found if not Path(path).name.startswith(PREFIX)]

    def job(self, job_id: UUID) -> Job:
        return self.jobs.get(job_id, OWNER)

    def at_work(self, queue: str) -> str:
        """Wait until a worker of a queue runs a step; return its name."""
        holder = (
            "SELECT w.pid FROM steps s JOIN workers w ON w.id = s.worker"
            f" WHERE s.state = 'running' AND s.queue = '{queue}'"
        )
        found: list[str] = []

        def look() -> bool:
            pids = [row[0] for row in self.rows(holder)]
            found[:] = [name for name, child in self.processes.items() if child.pid in pids]
            return bool(found)

        self.until(look, seconds=60)
        return found[0]

    def wait_for(self, job_ids: Sequence[UUID], seconds: float) -> None:
        self.until(lambda: not open_jobs(self, job_ids), seconds)

    def until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait for a condition, restarting whatever was killed, as a supervisor does."""
        assert self.reaches(condition, seconds), f"not within {seconds} s\n{self.state()}"

    def reaches(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Return whether a condition comes true in time, restarting what was killed."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.tend()
            time.sleep(0.05)
        return True

    def tend(self) -> None:
        for child in self.processes.values():
            if not child.running:
                child.start()

    def rows(self, query: str, **parameters: object) -> Sequence[sa.Row[tuple[object, ...]]]:
        with self.engine.connect() as connection:
            return connection.execute(sa.text(query), parameters).all()

    def count(self, query: str, **parameters: object) -> int:
        return int(self.rows(query, **parameters)[0][0])

    def execute(self, statement: str) -> None:
        with self.engine.begin() as connection:
            connection.exec_driver_sql(statement)

    def state(self) -> str:
        """Return what a developer wants to see when a test fails."""
        steps = self.rows("SELECT stage, state, losses, count(*) FROM steps GROUP BY 1, 2, 3")
        logs = [f"--- {child.name}\n{child.last_lines(8)}" for child in self.processes.values()]
        return "\n".join([f"up: {self.up()}", *map(str, steps), *logs])

    def log_of(self, name: str) -> str:
        return self.processes[name].log.read_text()

    def _child(self, name: str, faults: Sequence[str], settings: Mapping[str, str]) -> Child:
        environment = {
            "DATABASE_URL": self._through("postgres", self.postgres.url),
            "REDIS_URL": self._through("redis", self.broker.url),
            "ARTIFACT_URL": self.artifact_url,
            "EMOTION_CLF_API__PORT": str(self.port),
            "FAILPOINTS": str(self.failpoints),
            "TMPDIR": str(self.scratch),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)]),
            **SETTINGS,
            **settings,
        }
        role = name.partition("-")[0]
        if role == "api":  # which runs no stages
            faults = [fault for fault in faults if fault not in STUBS]
        command = [sys.executable, str(HERE / "process.py"), role, ",".join(faults)]
        return Child(name, command, log=self.directory / f"{name}.log", environment=environment)

    def _through(self, server: str, url: str) -> str:
        """Return the address of a server with the port of its proxy."""
        parts = urlsplit(url)
        place = f"{parts.netloc.rpartition(':')[0]}:{self.proxies[server].port}"
        return parts._replace(netloc=place).geturl()


def children_of(pid: int) -> list[int]:
    """Return the pool processes of a worker."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    names = {int(child): Path(f"/proc/{child}/cmdline").read_text() for child in found}
    return [child for child, command in names.items() if "spawn_main" in command]


def freeze(worker: Child) -> list[int]:
    """Stop a worker and its children in their tracks; return what :func:`thaw` continues."""
    assert worker.pid
    pids = [worker.pid, *children_of(worker.pid)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return pids


def thaw(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
