"""``python -m workers.health`` beside real processes: well, stopped, and without their database."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from durability.cluster import Cluster

from emotion_clf.local.processes import Child
from emotion_clf.local.servers import Postgres, Redis, free_port
from workers.health import STALE_SECONDS

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, redis_server: Redis
) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("health"), postgres, redis_server)
    assert health(cluster, "dispatcher")[0] == 1
    cluster.start("dispatcher", "cpu")
    yield cluster
    cluster.close()


def health(cluster: Cluster, role: str, **settings: str) -> tuple[int, str]:
    environment = os.environ | {"TMPDIR": str(cluster.scratch), **settings}
    ended = subprocess.run(
        [sys.executable, "-m", "workers.health", role],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.stderr == ""
    return ended.returncode, ended.stdout


def pulse(cluster: Cluster, role: str) -> Path:
    (found,) = cluster.scratch.glob(f"pulse.emotion-clf.{role}.*")
    return found


def let_time_pass(cluster: Cluster, role: str) -> None:
    """Make the last beat as old as it would be a while later."""
    long_ago = time.time() - STALE_SECONDS - 1
    os.utime(pulse(cluster, role), (long_ago, long_ago))


@pytest.mark.parametrize("role", ["dispatcher", "cpu"])
def test_a_process_that_stands_still_is_not_well(service: Cluster, role: str) -> None:
    service.until(lambda: health(service, role)[0] == 0, 20)
    child = service.processes[role]
    child.signal("SIGSTOP")
    time.sleep(0.5)  # what it was doing
    let_time_pass(service, role)
    status, said = health(service, role)
    assert status == 1
    found = re.fullmatch(rf"{role}: was last at work (\d+) seconds ago\n", said)
    assert found, said
    assert int(found[1]) > STALE_SECONDS
    child.signal("SIGCONT")
    service.until(lambda: health(service, role)[0] == 0, 20)


@pytest.mark.parametrize("role", ["dispatcher", "cpu"])
def test_a_process_without_its_database_is_well(service: Cluster, role: str) -> None:
    """To start it again would not help; and it goes on by itself."""
    service.proxies["postgres"].drop_all()
    service.postgres.stop()
    try:
        let_time_pass(service, role)
        service.until(lambda: health(service, role)[0] == 0, 30)
    finally:
        service.postgres.start()


def test_a_worker_that_is_not_ready_is_not_well(service: Cluster) -> None:
    """Its child could not load what it needs, say: then it is not in the register."""
    service.until(lambda: "cpu" in service.up(), 30)
    service.execute("DELETE FROM workers")
    time.sleep(0.5)
    let_time_pass(service, "cpu")
    time.sleep(4)  # longer than from beat to beat
    assert health(service, "cpu")[0] == 1


def test_settings_that_are_wrong_are_told_in_a_line(service: Cluster) -> None:
    status, said = health(service, "api", EMOTION_CLF_API__PROT="1")
    assert status == 1
    assert re.fullmatch(r"api: .*api\.prot.*\n", said)


def test_what_ends_in_good_order_leaves_no_pulse(service: Cluster) -> None:
    service.stop("dispatcher", "cpu")
    assert not list(service.scratch.glob("pulse.*"))


def test_an_egress_proxy_that_stands_still_is_not_well(service: Cluster) -> None:
    settings = {"EMOTION_CLF_EGRESS__PORT": str(free_port()), "EMOTION_CLF_EGRESS__HOST": "0.0.0.0"}
    log = service.directory / "egress.log"
    command = [sys.executable, "-m", "workers.egress"]
    egress = Child("egress", command, log=log, environment=os.environ | settings)
    assert health(service, "egress", **settings)[0] == 1
    egress.start()
    try:
        service.until(lambda: health(service, "egress", **settings)[0] == 0, 30)
        egress.signal("SIGSTOP")
        assert health(service, "egress", **settings) == (1, "egress: timed out\n")
        egress.signal("SIGCONT")
        assert health(service, "egress", **settings)[0] == 0
    finally:
        egress.stop(timeout=10)
    assert "egress.connection" not in log.read_text(), "nobody wants to read of these"
