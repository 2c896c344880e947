"""A whole service of real processes that a test may ill-treat, and the history it leaves."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from glob import glob
from http import HTTPStatus
from pathlib import Path
from uuid import UUID

import redis
import requests
import sqlalchemy as sa

from app.db import create_db_engine
from app.job_store import JobStore
from app.jobs import JOB_TRANSITIONS, Job, JobStatus, NewJob, terminal
from emotion_clf.local.processes import Child
from emotion_clf.local.servers import Postgres, Redis, free_port
from migrations.run import upgrade
from ml.artifacts import ArtifactStore
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
}
"""Quick enough for a test; in production a lease lasts a minute."""

# Triggers, not code of the service: they see every write, whoever makes it. The table has no
# unique constraint, so that a second effect is seen rather than refused.
HISTORY = """
CREATE TABLE IF NOT EXISTS history (
    n bigserial, at timestamptz DEFAULT clock_timestamp(), job_id uuid, step_id bigint,
    event text, attempt int, losses int);
TRUNCATE history;
CREATE OR REPLACE FUNCTION note_step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO history (job_id, step_id, event, attempt, losses)
    VALUES (NEW.job_id, NEW.id, 'step ' || NEW.state, NEW.attempt, NEW.losses); RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION note_job() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO history (job_id, event) VALUES (NEW.id, 'job ' || NEW.status); RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION note_result() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO history (job_id, event) VALUES (NEW.job_id, 'result'); RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER steps_history AFTER UPDATE OF state ON steps
    FOR EACH ROW EXECUTE FUNCTION note_step();
CREATE OR REPLACE TRIGGER jobs_history AFTER UPDATE OF status ON jobs
    FOR EACH ROW EXECUTE FUNCTION note_job();
CREATE OR REPLACE TRIGGER results_history AFTER INSERT OR UPDATE ON results
    FOR EACH ROW EXECUTE FUNCTION note_result();
"""


class Cluster:
    """Dispatcher and workers over a database and a broker; the test plays the supervisor."""

    def __init__(self, directory: Path, postgres: Postgres, broker: Redis) -> None:
        self.directory = directory
        self.postgres = postgres
        self.broker = broker
        self.processes: dict[str, Child] = {}
        self.redis = redis.Redis.from_url(broker.url)
        self.artifact_url = f"file://{directory}/artifacts"
        self.scratch = directory / "scratch"
        self.scratch.mkdir()
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        upgrade(postgres.url)
        self.engine = create_db_engine(postgres.url)
        self.jobs = JobStore(self.engine)
        self.clear()

    def clear(self) -> None:
        """Forget the jobs of the test before, and their history."""
        with self.engine.begin() as connection:
            connection.execute(sa.text("TRUNCATE jobs CASCADE"))
            connection.exec_driver_sql(HISTORY)
        self.redis.flushall()

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
    def replaced(self, *names: str, faults: Sequence[str]) -> Iterator[None]:
        """Run processes with faults meanwhile."""
        self.stop(*names)
        self.start(*names, faults=[*STUBS, *faults])
        yield
        self.stop(*names)
        self.start(*names)

    def kill(self, name: str) -> None:
        """End a process as a crash does; the kernel ends the children of a worker with it."""
        self.processes[name].signal("SIGKILL")

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
        ArtifactStore(self.artifact_url).write_file(key, recording)
        return self.jobs.submit(NewJob("upload", key, options)).id

    def post(self, text: str) -> UUID:
        """Submit a job over HTTP as a client does: again and again until it is accepted."""
        while True:
            try:
                answer = requests.post(f"{self.address}/jobs", json={"text": text}, timeout=10)
            except requests.RequestException:
                time.sleep(0.1)
                continue
            assert answer.status_code == HTTPStatus.ACCEPTED, answer.text
            return UUID(answer.json()["id"])

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.address}/health", timeout=1).ok
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

    def open_jobs(self, job_ids: Sequence[UUID]) -> list[Job]:
        """Return the jobs that have not ended; one that is unknown is a lost job."""
        ended = terminal(JOB_TRANSITIONS)
        return [job for job in map(self.job, job_ids) if job.status not in ended]

    def wait_for(self, job_ids: Sequence[UUID], seconds: float) -> None:
        self.until(lambda: not self.open_jobs(job_ids), seconds)

    def until(self, condition: Callable[[], bool], seconds: float) -> None:
        """Wait for a condition, restarting whatever was killed, as a supervisor does."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds} s\n{self.state()}"
            self.tend()
            time.sleep(0.05)

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
        return "\n".join([*map(str, steps), *logs])

    def log_of(self, name: str) -> str:
        return self.processes[name].log.read_text()

    def _child(self, name: str, faults: Sequence[str], settings: Mapping[str, str]) -> Child:
        environment = {
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.broker.url,
            "ARTIFACT_URL": self.artifact_url,
            "TMPDIR": str(self.scratch),
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)]),
            **SETTINGS,
            **settings,
        }
        role = name.partition("-")[0]
        command = [sys.executable, str(HERE / "process.py"), role, ",".join(faults)]
        if name == "api":
            command = [sys.executable, "-m", "app.api", "--port", str(self.port)]
        return Child(name, command, log=self.directory / f"{name}.log", environment=environment)


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


def done_more_than_once(cluster: Cluster) -> list[object]:
    """Return the effects that happened twice, and the changes after an end."""
    twice = cluster.rows(
        "SELECT job_id, step_id, event, count(*) FROM history WHERE event IN ('step done',"
        " 'step failed', 'job completed', 'job failed', 'result') GROUP BY 1, 2, 3"
        " HAVING count(*) > 1"
    )
    return list(twice)


def completed(cluster: Cluster, job_ids: Sequence[UUID]) -> int:
    return sum(cluster.job(job_id).status is JobStatus.COMPLETED for job_id in job_ids)


def until_claimed(cluster: Cluster, moments: Sequence[float]) -> list[float]:
    """Return, for each moment, the seconds until some step was claimed."""
    claims = [
        float(row[0])
        for row in cluster.rows(
            "SELECT extract(epoch FROM at) FROM history WHERE event = 'step running' ORDER BY n"
        )
    ]
    return [min(claim for claim in claims if claim > moment) - moment for moment in moments]


def until_revived(cluster: Cluster, kills: Sequence[float]) -> list[float]:
    """Return, for each step that a kill interrupted, the seconds until it was ready again."""
    found = cluster.rows(
        "SELECT extract(epoch FROM taken.at), extract(epoch FROM max(claimed.at))"
        " FROM history taken JOIN history claimed ON claimed.step_id = taken.step_id"
        " AND claimed.n < taken.n AND claimed.event = 'step running'"
        " WHERE taken.event = 'step ready' AND taken.losses > 0 GROUP BY taken.n, taken.at"
    )
    return [float(taken) - min(k for k in kills if k > claimed) for taken, claimed in found]
