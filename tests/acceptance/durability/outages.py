"""Scenarios in which Redis or Postgres is killed, emptied or falls silent: T7, T8 and others."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from uuid import UUID

from durability.blackhole import TcpProxy
from durability.clients import Clients, texts
from durability.cluster import Cluster
from durability.history import claims, lost_workers, until_claimed
from durability.outcome import Outcome, judge, settle

from workers.database import patiently

CONSUMING_SECONDS = 20
RUNNING = "SELECT count(*) FROM steps WHERE state = 'running'"


def black_holes(cluster: Cluster, server: str, rounds: int, seconds: float) -> Outcome:
    """T7. A server's connections stay open, but nothing comes through any more.

    Every second time the connections are dead when the route is back. Recovery: from then to
    the end of the jobs that were submitted meanwhile, which takes workers of both kinds.
    """
    jobs: list[UUID] = []
    recovery: list[float] = []
    red = green = 0
    for number in range(rounds):
        cluster.until(cluster.ready, seconds=60)
        jobs += cluster.submit(2, seconds=0.5)
        with _silent(cluster.proxies[server], seconds, drop=bool(number % 2)):
            meanwhile = cluster.submit(2, seconds=0.1)
            red += cluster.reaches(lambda: not cluster.ready(), seconds)
        back = time.monotonic()
        settle(cluster, meanwhile)
        recovery.append(time.monotonic() - back)
        green += cluster.reaches(cluster.ready, CONSUMING_SECONDS)
        jobs += meanwhile
        settle(cluster, jobs)
    return judge(
        cluster,
        f"T7 half-open {server}",
        injected=f"black hole of {seconds:.0f} s",
        times=rounds,
        jobs=jobs,
        recovery=recovery,
        criteria={
            f"consuming within {CONSUMING_SECONDS} s": max(recovery) <= CONSUMING_SECONDS,
            "not ready meanwhile": red == rounds,
            "ready afterwards": green == rounds,
            "no live worker lost its step": not lost_workers(cluster),
        },
    )


@contextmanager
def _silent(proxy: TcpProxy, seconds: float, *, drop: bool) -> Iterator[None]:
    """Let nothing through for so long."""
    proxy.pause()
    ends = time.monotonic() + seconds
    yield
    time.sleep(max(0.0, ends - time.monotonic()))
    if drop:
        proxy.drop_all()
    proxy.resume()


def crashes(cluster: Cluster, rounds: int, seed: int) -> Outcome:
    """T8. The database is killed while clients submit.

    Recovery: from the moment that it answers again to the next claim.
    """
    clients = Clients(cluster, "crashes")
    generator = random.Random(seed)
    backs: list[float] = []
    submission = clients.submit_all(texts(20 * rounds, 0.0, generator), lambda: time.sleep(0.3))
    for _ in range(rounds):
        time.sleep(generator.uniform(0.5, 1.5))
        cluster.kill("postgres", back_after=generator.uniform(0.0, 1.0))
        backs.append(time.time())
    cluster.until(lambda: submission.done, seconds=120)
    settle(cluster, submission.jobs)
    promised = clients.acknowledged()
    jobs = [job for made in promised.values() for job in made]
    same, refused = _repeat(clients, promised)
    return judge(
        cluster,
        "T8 database crash",
        injected="SIGKILL of Postgres under load",
        times=rounds,
        jobs=jobs,
        made_twice=len(jobs) - len(promised),
        recovery=until_claimed(cluster, backs),
        criteria={
            "fsync and synchronous_commit on": _durable(cluster),
            "no live worker lost its step": not lost_workers(cluster),
            "the same key gives the same job": same,
            "another body gets 422": refused,
        },
    )


def _repeat(clients: Clients, promised: Mapping[str, set[UUID]]) -> tuple[bool, bool]:
    """Return whether repeated requests give what they gave, and others are refused."""
    asked = clients.texts()
    again = {key: clients.ask(asked[key], key) for key in promised}
    other = [clients.ask("Another text.", key) for key in promised]
    same = all(
        answer is not None
        and answer.status_code == HTTPStatus.ACCEPTED
        and {UUID(answer.json()["id"])} == promised[key]
        for key, answer in again.items()
    )
    refused = all(
        answer is not None and answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
        for answer in other
    )
    return same, refused


def _durable(cluster: Cluster) -> bool:
    names = ("fsync", "synchronous_commit", "full_page_writes")
    return all(cluster.rows(f"SHOW {name}")[0][0] == "on" for name in names)


def undurable_crash(cluster: Cluster) -> Outcome:
    """T8's control: Postgres acknowledges before it has written."""
    cluster.stop("dispatcher")
    _configure(cluster, "synchronous_commit = off", "wal_writer_delay = '10s'")
    jobs = cluster.submit(20, seconds=0)
    cluster.kill("postgres")
    # The connection that is used first is one that the crash has cut.
    patiently()(_configure, cluster, "synchronous_commit = on", "wal_writer_delay = '200ms'")
    cluster.start("dispatcher")
    settle(cluster, jobs)
    return judge(
        cluster,
        "T8 without waiting for the log",
        injected="SIGKILL of Postgres",
        times=1,
        jobs=jobs,
        control="lost",
    )


def _configure(cluster: Cluster, *settings: str) -> None:
    with cluster.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for setting in settings:
            connection.exec_driver_sql(f"ALTER SYSTEM SET {setting}")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    time.sleep(0.5)  # every process takes it up for itself


def flushes(cluster: Cluster, rounds: int) -> Outcome:
    """Redis is emptied. Recovery: from then to the next claim."""
    jobs = cluster.submit(10 * rounds, seconds=0.1)
    moments = []
    for _ in range(rounds):
        time.sleep(1)
        cluster.redis.flushall()
        moments.append(time.time())
    settle(cluster, jobs)
    return judge(
        cluster,
        "Redis emptied",
        injected="FLUSHALL",
        times=rounds,
        jobs=jobs,
        recovery=until_claimed(cluster, moments),
        criteria={"there was work left": len(until_claimed(cluster, moments)) == rounds},
    )


def unnoticed_flush(cluster: Cluster) -> Outcome:
    """The control of emptying Redis: the dispatcher does not look whether it forgot."""
    jobs = cluster.submit(20, seconds=0.2)
    cluster.until(lambda: len(claims(cluster)) > 5, seconds=30)
    cluster.redis.flushall()
    cluster.until(lambda: cluster.count(RUNNING) == 0, seconds=30)
    settle(cluster, jobs, seconds=5)
    return judge(
        cluster,
        "Redis emptied, not noticed",
        injected="FLUSHALL",
        times=1,
        jobs=jobs,
        control="stuck",
    )
