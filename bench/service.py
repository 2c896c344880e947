"""What the service adds to its parts: python bench/service.py [--jobs N].

Starts the local service (API, dispatcher, workers with the real classifier, Postgres, Redis) and
compares each figure with a limit that is measured in the same run:

- creations and status polls a second, with those of a bare Flask application on waitress that only
  commits a row and pushes a message, or reads one row (bench/bare_service.py);
- ``POST /predict`` with the classifier called in one process;
- from 202 to the first claim, with a target of 50 ms at the 95th percentile;
- a queue of N jobs drained: memory of every process, and polls meanwhile.

Each stands alone: whoever is not measured is stopped (SIGSTOP) meanwhile.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).parent))

from http_load import Connection, Timing, load

from app.db import create_db_engine
from emotion_clf import EmotionPredictor
from emotion_clf.local.processes import Child, wait_until
from emotion_clf.local.servers import free_port
from emotion_clf.local.service import LocalService

CLIENTS = 8
REQUESTS = 2000
ROUNDS = 3
"""Ours and the limit take turns, and the best of each counts: the machine has other work too."""
SENTENCES = (
    "I love this new phone so much.",
    "This is terrible news for all of us.",
    "Why would anybody do that?",
    "We are moving to another town in spring.",
    "Thank you for everything you did.",
    "I am afraid it will not work.",
)


def texts(count: int, seed: int) -> list[str]:
    """Return different sentences, so that no stage finds an earlier output."""
    chance = random.Random(seed)
    return [f"{chance.choice(SENTENCES)} Number {chance.getrandbits(48):x}." for _ in range(count)]


def create(connection: Connection, text: str) -> str:
    """Submit a text; return the job's id."""
    status, job = connection.call("POST", "/jobs", {"text": text})
    assert status == 202, job
    return str(job["id"])


def poll(connection: Connection, job_id: str) -> str:
    """Return a job's status."""
    status, job = connection.call("GET", f"/jobs/{job_id}")
    assert status == 200, job
    return str(job["status"])


@contextmanager
def halted(children: Sequence[Child]) -> Iterator[None]:
    """Stop the processes of the service and their own children meanwhile."""
    for child in children:
        os.killpg(child.pid or 0, signal.SIGSTOP)
    try:
        yield
    finally:
        for child in children:
            os.killpg(child.pid or 0, signal.SIGCONT)


def others(service: LocalService) -> list[Child]:
    """Return everything that runs beside the API, the database and the broker."""
    return [child for child in service.children if child.name != "api"]


@contextmanager
def bare(directory: Path, database_url: str, redis_url: str) -> Iterator[str]:
    """Run the bare service; yield its address."""
    port = free_port()
    dsn = database_url.replace("postgresql+psycopg2", "postgresql")
    child = Child(
        "bare",
        [sys.executable, str(Path(__file__).parent / "bare_service.py"), str(port)],
        log=directory / "bare.log",
        environment={"BARE_DSN": dsn, "REDIS_URL": redis_url},
    )
    child.start()
    try:
        wait_until(lambda: _listens(port), 30, "the bare service", child)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.stop(5)


def _listens(port: int) -> bool:
    return any(
        connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
        for connection in psutil.net_connections("tcp")
    )


def compare_requests(ours: str, limit: str) -> None:
    """Print creations and polls a second beside the bare service's."""
    best: dict[tuple[str, str], Timing] = {}
    for turn in range(ROUNDS):
        for name, base in (("ours", ours), ("bare", limit)):
            made, ids = load(base, texts(REQUESTS, turn), create, CLIENTS)
            seen, _ = load(base, ids, poll, CLIENTS)
            for what, timing in (("create", made), ("poll", seen)):
                if (what, name) not in best or timing.rate > best[what, name].rate:
                    best[what, name] = timing
    for what in ("create", "poll"):
        mine, least = best[what, "ours"], best[what, "bare"]
        print(
            f"{what:<8} {mine.rate:7.0f} a second (p50 {mine.median:.1f} ms, p95 "
            f"{mine.quantile(0.95):.1f} ms); bare Flask {least.rate:.0f}, "
            f"of which ours is {mine.rate / least.rate:.2f}"
        )


def compare_predictions(base: str) -> None:
    """Print how long one sentence takes over HTTP, and in one process."""
    sentences = texts(300, 7)

    def over_http(connection: Connection, text: str) -> None:
        status, answer = connection.call("POST", "/predict", {"text": text}, {"Prefer": "wait=30"})
        assert status == 200, answer

    load(base, sentences[:20], over_http, 1)
    http, _ = load(base, sentences[20:], over_http, 1)
    predictor = EmotionPredictor()
    predictor.predict([sentences[0]])
    alone = Timing()
    for text in sentences[20:]:
        began = time.perf_counter()
        predictor.predict([text])
        alone.seconds.append(time.perf_counter() - began)
    print(
        f"predict  p50 {http.median:.1f} ms, p95 {http.quantile(0.95):.1f} ms; "
        f"the classifier alone {alone.median:.1f} and {alone.quantile(0.95):.1f} ms"
    )


def measure_claims(base: str, engine: sa.Engine) -> None:
    """Print the time from 202 to the first claim while nothing else is to do."""
    connection, sent = Connection(base), {}
    for text in texts(200, 11):
        job_id = create(connection, text)
        sent[job_id] = time.time()
        time.sleep(random.uniform(0.2, 0.4))
    query = sa.text(
        "SELECT job_id::text, extract(epoch FROM min(started_at)) FROM steps "
        "WHERE stage = 'segment' GROUP BY job_id"
    )
    with engine.connect() as database:
        claimed = {row[0]: float(row[1]) for row in database.execute(query)}
    waits = Timing([max(0.0, claimed[job_id] - moment) for job_id, moment in sent.items()])
    print(f"claim    p50 {waits.median:.1f} ms, p95 {waits.quantile(0.95):.1f} ms after 202")


def drain(base: str, engine: sa.Engine, service: LocalService, count: int) -> None:
    """Print how a long queue is worked off: rate, memory, polls meanwhile."""
    with halted(others(service)):
        _, ids = load(base, texts(count, 13), create, CLIENTS)
        full, _ = load(base, ids[:REQUESTS], poll, CLIENTS)
    empty_memory = memory(service)
    began, polls, peaks = time.perf_counter(), Timing(), dict(empty_memory)
    connection = Connection(base)
    while open_jobs(engine):
        for job_id in random.sample(ids, 20):
            asked = time.perf_counter()
            poll(connection, job_id)
            polls.seconds.append(time.perf_counter() - asked)
            time.sleep(0.05)
        for name, size in memory(service).items():
            peaks[name] = max(peaks.get(name, 0.0), size)
    took = time.perf_counter() - began
    rate = count / took
    print(f"drain    {count} jobs in {took:.0f} s: {rate:.1f} jobs, {3 * rate:.0f} steps a second")
    print(f"         polls, queue full: p50 {full.median:.1f} ms, {CLIENTS} clients")
    print(
        f"         polls while it is drained: p50 {polls.median:.1f} ms, "
        f"p95 {polls.quantile(0.95):.1f} ms, 1 client"
    )
    for name, size in sorted(peaks.items()):
        before = empty_memory.get(name, 0)
        print(f"         memory of {name:<12} {before:6.0f} → {size:.0f} MiB at most")


def open_jobs(engine: sa.Engine) -> int:
    """Return how many jobs have not ended."""
    query = "SELECT count(*) FROM jobs WHERE status IN ('queued', 'running')"
    with engine.connect() as database:
        return int(database.execute(sa.text(query)).scalar_one())


def memory(service: LocalService) -> dict[str, float]:
    """Return the resident memory of each process with its children, in MiB."""
    sizes = {}
    for child in service.children:
        if child.pid is None:
            continue
        family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)]
        sizes[child.name] = sum(_resident(process) for process in family) / 2**20
    return sizes


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000, help="length of the queue to drain")
    parser.add_argument("--only", choices=["requests", "predict", "claim", "drain"])
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        config = directory / "config.yaml"
        config.write_text("jobs: {max_queued: 1000000}\n")
        with LocalService(directory / "service", config=config) as service:
            run(service, directory, arguments)


def run(service: LocalService, directory: Path, arguments: Any) -> None:
    """Measure what was asked for."""
    base, servers = service.addresses.api, service.environment
    database_url, redis_url = servers["DATABASE_URL"], servers["REDIS_URL"]
    engine = create_db_engine(database_url)
    chosen = [arguments.only] if arguments.only else ["claim", "predict", "requests", "drain"]
    if "claim" in chosen:
        measure_claims(base, engine)
    if "predict" in chosen:
        compare_predictions(base)
    if "requests" in chosen:
        with halted(others(service)), bare(directory, database_url, redis_url) as limit:
            compare_requests(base, limit)
        with engine.begin() as connection:
            connection.exec_driver_sql("TRUNCATE jobs CASCADE")
    if "drain" in chosen:
        drain(base, engine, service, arguments.jobs)
    engine.dispose()


if __name__ == "__main__":
    main()
