"""No accepted job is lost and none is done twice, whatever dies.

Real processes, killed at moments that a seed chooses. Each property has a negative control:
with the mechanism that provides it switched off, the property does not hold.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from durability.cluster import (
    STUBS,
    Cluster,
    completed,
    done_more_than_once,
    freeze,
    thaw,
    until_claimed,
    until_revived,
)

from app.errors import JobNotFound
from app.jobs import JobStatus
from emotion_clf.local.servers import Postgres, Redis

pytestmark = pytest.mark.acceptance

RUNNING = "SELECT count(*) FROM steps WHERE state = 'running'"
MOST_ATTEMPTS = "SELECT coalesce(max(attempt), 0) FROM steps WHERE job_id = :job"


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, redis_server: Redis
) -> Iterator[Cluster]:
    """The API, a dispatcher, a CPU worker and two GPU workers, with stages that need no model."""
    cluster = Cluster(tmp_path_factory.mktemp("durability"), postgres, redis_server)
    cluster.start("dispatcher", "cpu", "gpu-1", "gpu-2", "api")
    yield cluster
    cluster.stop()
    cluster.engine.dispose()


@pytest.fixture
def cluster(service: Cluster) -> Cluster:
    """The service with everything up and nothing to do."""
    service.clear()
    service.until(lambda: set(service.up()) == set(service.processes), seconds=60)
    return service


def gpu_at_work(cluster: Cluster) -> str:
    """Wait until a GPU worker runs a step; return its name."""
    holder = (
        "SELECT w.pid FROM steps s JOIN workers w ON w.id = s.worker"
        " WHERE s.state = 'running' AND s.queue = 'gpu'"
    )
    cluster.until(lambda: bool(cluster.rows(holder)), seconds=20)
    pid = cluster.rows(holder)[0][0]
    return next(name for name, child in cluster.processes.items() if child.pid == pid)


def kill_at_random(cluster: Cluster, kills: int, seed: int) -> list[float]:
    """Kill processes at random moments while steps run; return when."""
    generator = random.Random(seed)
    moments: list[float] = []
    while len(moments) < kills:
        cluster.until(lambda: len(cluster.up()) > 1 and cluster.count(RUNNING) > 0, seconds=30)
        time.sleep(generator.uniform(0.0, 1.0))
        cluster.kill(generator.choice(sorted(cluster.up())))
        moments.append(time.time())
        cluster.tend()
    return moments


def test_killed_processes_lose_and_repeat_nothing(
    cluster: Cluster, report: Callable[..., None]
) -> None:
    texts = [f"{number} 0.3 well" for number in range(30)]
    with ThreadPoolExecutor(3) as clients:
        accepted = clients.map(cluster.post, texts)
        kills = kill_at_random(cluster, kills=8, seed=4)
    jobs = list(accepted)
    cluster.wait_for(jobs, seconds=60)
    revivals = sorted(until_revived(cluster, kills))
    report(
        accepted=len(jobs),
        kills=len(kills),
        completed=completed(cluster, jobs),
        repeated=len(done_more_than_once(cluster)),
        interrupted_steps=len(revivals),
        revived_median=round(revivals[len(revivals) // 2], 2),
        revived_longest=round(revivals[-1], 2),
    )
    assert len(set(jobs)) == completed(cluster, jobs) == 30
    assert done_more_than_once(cluster) == []
    cluster.until_nothing_is_left()


def test_flushed_broker_loses_nothing(cluster: Cluster, report: Callable[..., None]) -> None:
    jobs = cluster.submit(30, seconds=0.1)
    flushes = []
    for _ in range(3):
        time.sleep(1)
        cluster.redis.flushall()
        flushes.append(time.time())
    assert cluster.open_jobs(jobs), "the flushes came too late to matter"
    cluster.wait_for(jobs, seconds=40)
    report(
        jobs=len(jobs),
        flushes=len(flushes),
        completed=completed(cluster, jobs),
        repeated=len(done_more_than_once(cluster)),
        next_claim_longest=round(max(until_claimed(cluster, flushes)), 2),
    )
    assert completed(cluster, jobs) == 30
    assert done_more_than_once(cluster) == []


def test_a_killed_broker_loses_nothing(cluster: Cluster, report: Callable[..., None]) -> None:
    jobs = cluster.submit(20, seconds=0.1)
    time.sleep(1)
    cluster.broker.kill()
    jobs += cluster.submit(5, seconds=0.1)  # accepting a job needs no broker
    time.sleep(2)
    cluster.broker.start()
    back = time.time()
    cluster.wait_for(jobs, seconds=60)
    report(
        completed=completed(cluster, jobs),
        repeated=len(done_more_than_once(cluster)),
        next_claim=round(until_claimed(cluster, [back])[0], 2),
    )
    assert completed(cluster, jobs) == 25
    assert done_more_than_once(cluster) == []


def test_crashed_database_loses_no_accepted_job(
    cluster: Cluster, report: Callable[..., None]
) -> None:
    jobs = cluster.submit(15, seconds=0.2)
    for _ in range(2):
        time.sleep(1.0)
        jobs += cluster.submit(5, seconds=0.1)
        cluster.postgres.kill()
        time.sleep(0.5)
        cluster.postgres.start()
    assert cluster.open_jobs(jobs), "the crashes came too late to matter"
    back = time.time()
    cluster.wait_for(jobs, seconds=60)
    report(
        jobs=len(jobs),
        crashes=2,
        completed=completed(cluster, jobs),
        repeated=len(done_more_than_once(cluster)),
        losses=cluster.count("SELECT sum(losses) FROM steps"),
        next_claim=round(until_claimed(cluster, [back])[0], 2),
    )
    assert completed(cluster, jobs) == 25
    assert done_more_than_once(cluster) == []


@pytest.fixture(scope="class")
def no_recovery(service: Cluster) -> Iterator[None]:
    """Run a dispatcher that neither revives steps nor sends messages again."""
    with service.replaced("dispatcher", faults=["no_revival", "no_republishing"]):
        yield


@pytest.mark.usefixtures("no_recovery")
class TestControlsWithoutRecovery:
    def test_steps_of_killed_workers_stay_behind(self, cluster: Cluster) -> None:
        jobs = cluster.submit(3, seconds=1.0)
        cluster.kill(gpu_at_work(cluster))
        cluster.until(lambda: len(cluster.open_jobs(jobs)) == 1, seconds=30)
        time.sleep(5)  # longer than the lease
        assert len(cluster.open_jobs(jobs)) == 1

    def test_a_flush_loses_jobs(self, cluster: Cluster) -> None:
        jobs = cluster.submit(20, seconds=0.2)
        cluster.until(lambda: completed(cluster, jobs) > 0, seconds=20)
        cluster.redis.flushall()
        cluster.until(lambda: cluster.count(RUNNING) == 0, seconds=20)
        time.sleep(4)  # longer than any step
        assert cluster.open_jobs(jobs)
        assert cluster.count(RUNNING) == 0


def test_control_without_a_write_ahead_log_a_crash_loses_jobs(cluster: Cluster) -> None:
    tables = ["results", "steps", "jobs"]
    cluster.stop("dispatcher")
    for table in tables:
        cluster.execute(f"ALTER TABLE {table} SET UNLOGGED")
    (job,) = cluster.submit(1, seconds=0)
    cluster.postgres.kill()
    cluster.postgres.start()
    with pytest.raises(JobNotFound):
        cluster.job(job)
    for table in reversed(tables):
        cluster.execute(f"ALTER TABLE {table} SET LOGGED")
    cluster.start("dispatcher")


def snapshot(cluster: Cluster) -> object:
    """Return everything that a worker may write."""
    steps = "SELECT md5(string_agg(s::text, ',' ORDER BY id)) FROM steps s"
    jobs = "SELECT md5(string_agg(j::text, ',' ORDER BY id)) FROM jobs j"
    results = "SELECT md5(string_agg(r::text, ',' ORDER BY job_id)) FROM results r"
    return [cluster.rows(query) for query in (steps, jobs, results)]


def wake_a_zombie(cluster: Cluster, name: str, rescuer: str) -> tuple[object, object]:
    """Stop a worker past its lease, let another finish, and wake the first one.

    Returns everything that workers write, before it woke and after.
    """
    asleep = freeze(cluster.processes[rescuer])
    jobs = cluster.submit(1, seconds=1.0, behaviour="deaf")
    assert gpu_at_work(cluster) == name
    frozen = freeze(cluster.processes[name])
    thaw(asleep)
    cluster.wait_for(jobs, seconds=30)
    assert completed(cluster, jobs) == 1
    before = snapshot(cluster)
    told = len(cluster.log_of(name))
    thaw(frozen)
    ends = ("step.lease_lost", "step.done", "step.cancelled", "Traceback")
    cluster.until(lambda: any(end in cluster.log_of(name)[told:] for end in ends), seconds=20)
    return before, snapshot(cluster)


def test_a_stopped_worker_that_wakes_changes_nothing(cluster: Cluster) -> None:
    before, after = wake_a_zombie(cluster, "gpu-1", rescuer="gpu-2")
    assert before == after
    assert done_more_than_once(cluster) == []


def test_cancelling_stops_a_running_step_within_two_seconds(
    cluster: Cluster, report: Callable[..., None]
) -> None:
    (job,) = cluster.submit(1, seconds=30)
    cluster.until(lambda: cluster.count(RUNNING) == 1, seconds=20)
    asked = time.monotonic()
    assert cluster.jobs.cancel(job, "local").status is JobStatus.CANCELLED
    cluster.until(lambda: cluster.count(RUNNING) == 0, seconds=10)
    stopped = time.monotonic() - asked
    report(stopped_seconds=round(stopped, 2))
    assert stopped < 2


def test_a_step_that_kills_its_worker_is_set_aside(
    cluster: Cluster, report: Callable[..., None]
) -> None:
    (poison,) = cluster.submit(1, seconds=0, behaviour="kill")
    jobs = cluster.submit(10, seconds=0.1)
    began = time.monotonic()
    cluster.wait_for([poison, *jobs], seconds=60)
    job = cluster.job(poison)
    report(
        attempts=cluster.count(MOST_ATTEMPTS, job=poison),
        others_completed=completed(cluster, jobs),
        seconds=round(time.monotonic() - began, 1),
    )
    assert job.status is JobStatus.FAILED
    assert job.error is not None
    assert job.error.code == "worker.lost"
    assert cluster.count(MOST_ATTEMPTS, job=poison) == 3
    assert completed(cluster, jobs) == 10
    cluster.until_nothing_is_left()


def test_a_worker_told_to_stop_gives_its_step_back(
    cluster: Cluster, report: Callable[..., None]
) -> None:
    (job,) = cluster.submit(1, seconds=5)
    name = gpu_at_work(cluster)
    worker = cluster.processes.pop(name)
    told = time.monotonic()
    worker.signal("SIGTERM")
    attempts = "SELECT max(attempt) FROM steps WHERE queue = 'gpu'"
    cluster.until(lambda: cluster.count(attempts) == 2, seconds=10)
    rerun = time.monotonic() - told
    cluster.until(lambda: not worker.running, seconds=10)
    report(rerun_seconds=round(rerun, 2), exited_seconds=round(time.monotonic() - told, 2))
    assert cluster.count("SELECT sum(losses) FROM steps") == 0
    cluster.jobs.cancel(job, "local")


@pytest.fixture(scope="class")
def no_guards(service: Cluster) -> None:
    """Run workers whose writes are not fenced, and steps that may lose any number of them."""
    changed = ("dispatcher", "gpu-1", "gpu-2")
    service.stop(*service.processes.keys() & set(changed))
    # One restart for two controls: neither guard has a part in what the other one prevents.
    service.start(*changed, faults=[*STUBS, "no_fence"], EMOTION_CLF_JOBS__MAX_ATTEMPTS="1000")


@pytest.mark.usefixtures("no_guards")
class TestControlsWithoutGuards:
    def test_without_a_fence_a_stopped_worker_that_wakes_writes(self, cluster: Cluster) -> None:
        before, after = wake_a_zombie(cluster, "gpu-1", rescuer="gpu-2")
        assert before != after

    def test_without_a_cap_a_step_kills_on(self, cluster: Cluster) -> None:
        (poison,) = cluster.submit(1, seconds=0, behaviour="kill")
        cluster.until(lambda: cluster.count(MOST_ATTEMPTS, job=poison) > 3, seconds=60)
        assert cluster.open_jobs([poison])
        cluster.jobs.cancel(poison, "local")
