"""What the machinery around the stages carries: python bench/scale.py [--work SECONDS].

Real Postgres, Redis and dispatcher, and 1 to 64 simulated workers (bench/scale_workers.py) whose
stages only wait. For each count: steps a second, beside what the workers could do if the machinery
took no time, and how many milliseconds of a core a step costs each part of it. These costs do not
depend on how many cores this machine has, so they say what larger ones carry. Then one real worker
of each queue, with stages that take no time, what a renewal of a lease costs, and how fast the
dispatcher alone sends what is ready.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import redis
import sqlalchemy as sa
from scale_workers import GO, READY

from app.db import create_db_engine
from app.jobs import NewJob, Progress
from app.stores.jobs import JobStore
from app.stores.steps import StepStore
from emotion_clf.local.processes import Child, wait_until
from emotion_clf.local.servers import Postgres, Redis
from migrations.run import upgrade

HERE = Path(__file__).parent
SCRIPT = str(HERE / "scale_workers.py")
COUNTS = (1, 2, 4, 8, 16, 32, 64)
PROCESSES = 4
"""Simulated workers share so many processes: 64 processes would be starved of memory and time."""
SECONDS = 8
"""About how long each count is measured."""
STEPS_OF_A_JOB = 3
HEADER = "workers  steps/second    ideal  ratio    Postgres       Redis  dispatcher     workers"


class Bench:
    """The servers, the dispatcher, and whoever works."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.postgres = Postgres(directory / "postgres")
        self.redis = Redis(directory / "redis")

    def start(self) -> None:
        """Start the servers."""
        self.postgres.start()
        self.redis.start()
        upgrade(self.postgres.url)
        self.engine = create_db_engine(self.postgres.url)
        self.broker = redis.Redis.from_url(self.redis.url)
        self.jobs = JobStore(self.engine)

    def close(self) -> None:
        """Stop the servers."""
        self.redis.stop()
        self.postgres.stop()

    def fill(self, jobs: int) -> None:
        """Queue jobs of one sentence each, in place of those before."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql("TRUNCATE jobs CASCADE")
        self.broker.flushall()
        for number in range(jobs):
            self.jobs.submit(NewJob("text", f"Sentence {number} at {time.time()}."))

    @contextmanager
    def running(self, name: str, *command: str, work: float = 0.0) -> Iterator[Child]:
        """Run one process of the service meanwhile."""
        environment = {
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.redis.url,
            "ARTIFACT_URL": f"file://{self.directory}/artifacts",
            "SCALE_WORK_SECONDS": str(work),
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]),
            "LOG_LEVEL": "warning",
        }
        child = Child(
            name,
            [sys.executable, *command],
            log=self.directory / f"{name}.log",
            environment=environment,
        )
        child.start()
        try:
            yield child
        finally:
            child.stop(timeout=5)

    def count(self, condition: str) -> int:
        """Return the number of steps that meet a condition."""
        query = sa.text(f"SELECT count(*) FROM steps WHERE {condition}")
        with self.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def waiting(self) -> int:
        """Return how many processes of simulated workers wait for the start."""
        return int(self.broker.get(READY) or 0)

    def rate(self) -> tuple[int, float]:
        """Return how many steps were done, and how many a second."""
        query = sa.text(
            "SELECT count(*), extract(epoch FROM max(finished_at) - min(started_at)) FROM steps"
        )
        with self.engine.connect() as connection:
            steps, seconds = connection.execute(query).one()
        return steps, steps / float(seconds)

    def until_done(self, jobs: int) -> None:
        """Wait for the last step of the last job."""
        wanted = f"stage = 'aggregate' AND state = 'done' HAVING count(*) >= {jobs}"
        query = sa.text(f"SELECT 1 FROM steps WHERE {wanted}")

        def done() -> bool:
            time.sleep(0.1)
            with self.engine.connect() as connection:
                return connection.execute(query).first() is not None

        wait_until(done, 600, "the end of the queue")

    def cpu_seconds(self, groups: Mapping[str, list[int | None]]) -> dict[str, float]:
        """Return the time that processes and their children have spent on a core."""
        return {name: sum(map(_cpu_seconds, pids)) for name, pids in groups.items()}


def _cpu_seconds(pid: int | None) -> float:
    parent = psutil.Process(pid)
    ended = parent.cpu_times().children_user + parent.cpu_times().children_system
    family = [parent.cpu_times(), *(child.cpu_times() for child in parent.children(recursive=True))]
    return ended + sum(times.user + times.system for times in family)


def measure_simulated(bench: Bench, count: int, work: float) -> None:
    """Print one row of the table."""
    ideal = count / work
    jobs = max(4, round(min(ideal, 250) * SECONDS / STEPS_OF_A_JOB))
    bench.fill(jobs)
    processes = min(count, PROCESSES)
    shares = [count // processes + (n < count % processes) for n in range(processes)]
    with ExitStack() as stack:
        dispatcher = stack.enter_context(bench.running("dispatcher", "-m", "workers.dispatcher"))
        workers = [
            stack.enter_context(
                bench.running(f"workers-{n}", SCRIPT, "simulated", str(share), work=work)
            )
            for n, share in enumerate(shares)
        ]
        wait_until(lambda: bench.count("published_at IS NULL") == 0, 60, "the dispatcher")
        wait_until(lambda: bench.waiting() == processes, 60, "the workers")
        groups = {
            "Postgres": [bench.postgres.pid],
            "Redis": [bench.redis.pid],
            "dispatcher": [dispatcher.pid],
            "workers": [child.pid for child in workers],
        }
        before = bench.cpu_seconds(groups)
        bench.broker.set(GO, 1)
        bench.until_done(jobs)
        after = bench.cpu_seconds(groups)
    steps, rate = bench.rate()
    costs = "  ".join(f"{1000 * (after[name] - before[name]) / steps:10.2f}" for name in groups)
    print(f"{count:7}  {rate:11.1f}  {ideal:7.0f}  {rate / ideal:5.2f}  {costs}", flush=True)


def measure_real(bench: Bench) -> None:
    """Print how many steps one real worker of each queue ends, beside as many simulated ones."""
    jobs = 200
    bench.fill(jobs)
    with (
        bench.running("dispatcher", "-m", "workers.dispatcher"),
        bench.running("cpu", SCRIPT, "real", "cpu"),
        bench.running("gpu", SCRIPT, "real", "gpu"),
    ):
        bench.until_done(jobs)
    _, rate = bench.rate()
    print(f"one real worker of each queue, stages that take no time: {rate:.0f} steps a second")


def measure_renewals(bench: Bench, leases: int = 64, rounds: int = 30) -> None:
    """Print what it costs Postgres that a running step says each second how far it is."""
    bench.fill(leases)
    store = StepStore(bench.engine)
    with bench.engine.connect() as connection:
        ids = connection.execute(sa.text("SELECT id FROM steps")).scalars().all()
    claims = [claim for step_id in ids if (claim := store.claim(step_id, "worker"))]
    groups = {"Postgres": [bench.postgres.pid]}
    before = bench.cpu_seconds(groups)["Postgres"]
    for done in range(rounds):
        for claim in claims:
            store.heartbeat(claim, Progress(done / rounds, f"{done} of {rounds}", 0.0, 1.0))
    spent = bench.cpu_seconds(groups)["Postgres"] - before
    print(f"renewing a lease with news takes Postgres {1000 * spent / leases / rounds:.2f} ms")


def measure_dispatcher(bench: Bench, jobs: int = 5000) -> None:
    """Print how fast one dispatcher sends what is ready."""
    bench.fill(jobs)
    with bench.running("dispatcher", "-m", "workers.dispatcher"):
        wait_until(lambda: bench.count("published_at IS NULL") < jobs, 60, "the dispatcher")
        left, began = bench.count("published_at IS NULL"), time.perf_counter()
        wait_until(lambda: bench.count("published_at IS NULL") == 0, 60, "the dispatcher")
        took = time.perf_counter() - began
    print(f"one dispatcher sends {left / took:.0f} steps a second")


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=float, default=0.2, help="seconds that a stage takes")
    parser.add_argument("--workers", type=int, nargs="+", default=COUNTS)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            bench.start()
            print(f"a stage takes {arguments.work} s; on the right milliseconds of a core a step")
            print(HEADER)
            for count in arguments.workers:
                measure_simulated(bench, count, arguments.work)
            measure_real(bench)
            measure_renewals(bench)
            measure_dispatcher(bench)
        finally:
            bench.close()


if __name__ == "__main__":
    main()
