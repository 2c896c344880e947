"""No accepted job is lost and none is done twice, whatever dies.

Real processes, killed at moments that a seed chooses: the scenarios of ``make test-chaos``
with small numbers. Each promise has a negative control: with the mechanism that keeps it
switched off, it does not hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from durability.cluster import OWNER, Cluster
from durability.history import completed, done_more_than_once, until_claimed
from durability.nemesis import RUNNING
from durability.outcome import Outcome
from durability.scenarios import BOUNDED, CONTROLS, PROMISES, SEED, Group

from app.jobs import JobStatus
from emotion_clf.local.servers import Postgres, Redis

Run = Callable[[Group, str], Outcome]
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, redis_server: Redis
) -> Iterator[Cluster]:
    """The API, a dispatcher, a CPU worker and two GPU workers, with stages that need no model."""
    cluster = Cluster(tmp_path_factory.mktemp("durability"), postgres, redis_server)
    cluster.start("dispatcher", "cpu", "gpu-1", "gpu-2", "api")
    yield cluster
    cluster.close()


class Faults:
    """What is switched off; changed only where a test wants something else than the last one."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._group: Group | None = None
        self._applied = ExitStack()

    def apply(self, group: Group) -> None:
        if group is not self._group:
            self.undo()
            self._applied.enter_context(group.applied(self._cluster))
            self._group = group

    def undo(self) -> None:
        self._group = None
        self._applied.close()


@pytest.fixture(scope="module")
def faults(service: Cluster) -> Iterator[Faults]:
    faults = Faults(service)
    yield faults
    faults.undo()


@pytest.fixture
def run(faults: Faults, service: Cluster, report: Callable[..., None]) -> Run:
    """Run a scenario of a group, and report its figures."""

    def run(group: Group, name: str) -> Outcome:
        faults.apply(group)
        service.idle()
        outcome = group.scenarios[name](service, BOUNDED, SEED)
        report(
            times=outcome.times,
            jobs=outcome.jobs,
            lost=outcome.lost,
            duplicated=outcome.duplicated,
            stuck=outcome.stuck,
            recovery_longest=round(max(outcome.recovery, default=0.0), 2),
        )
        return outcome

    return run


@pytest.mark.parametrize("name", PROMISES.scenarios)
def test_the_promise_holds(name: str, run: Run) -> None:
    assert run(PROMISES, name).failures == []


@pytest.mark.parametrize(
    ("group", "name"),
    [pytest.param(group, name, id=name) for group in CONTROLS for name in group.scenarios],
)
def test_with_its_mechanism_switched_off_it_does_not(group: Group, name: str, run: Run) -> None:
    outcome = run(group, name)
    assert outcome.failures == [outcome.control]


@pytest.fixture
def cluster(service: Cluster, faults: Faults) -> Cluster:
    """The service with everything up and nothing to do."""
    faults.undo()
    service.idle()
    return service


def test_jobs_are_accepted_without_a_broker(cluster: Cluster, report: Callable[..., None]) -> None:
    jobs = cluster.submit(20, seconds=0.1)
    time.sleep(1)
    cluster.broker.kill()
    jobs += cluster.submit(5, seconds=0.1)
    time.sleep(2)
    cluster.broker.start()
    back = time.time()
    cluster.wait_for(jobs, seconds=60)
    report(next_claim=round(until_claimed(cluster, [back])[0], 2))
    assert completed(cluster, jobs) == 25
    assert done_more_than_once(cluster) == []


def test_cancelling_stops_a_running_step_within_two_seconds(
    cluster: Cluster, report: Callable[..., None]
) -> None:
    (job,) = cluster.submit(1, seconds=30)
    cluster.until(lambda: cluster.count(RUNNING) == 1, seconds=20)
    asked = time.monotonic()
    assert cluster.jobs.cancel(job, OWNER).status is JobStatus.CANCELLED
    cluster.until(lambda: cluster.count(RUNNING) == 0, seconds=10)
    stopped = time.monotonic() - asked
    report(stopped_seconds=round(stopped, 2))
    assert stopped < 2
