"""``make test-compose``: the containers of ``docker-compose.yml``, as their users have them.

The tests build on one another: what the first ones submit, the last one finds in a backup.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from durability.history import HISTORY, done_more_than_once
from media import encode, samples_of
from stack import ALWAYS_UP, ROOT, SERVICES, Stack, engine, run, until

from emotion_clf.client import Client

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(1200)]

CLIPS = ROOT / "tests" / "data"
JFK = "ask not what your country can do for you"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The images of this tree, started from nothing."""
    found = engine()
    if found is None:
        pytest.skip("no container engine works here: neither docker compose nor podman")
    stack = Stack(tmp_path_factory.mktemp("compose"), "emotion-clf-tests", *found)
    stack.down(volumes=True)
    stack.build()
    try:
        stack.up()
        yield stack
    finally:
        stack.down(volumes=True)


class Service:
    """What a client sees."""

    def __init__(self, stack: Stack) -> None:
        self.address = stack.address
        token = stack.token("jobs:read", "jobs:write")
        self.client = Client(self.address, token, patience=120)
        self._bearer = {"Authorization": f"Bearer {token}"}

    def submit(self, **body: str) -> str:
        """Submit a text or a link."""
        answer = requests.post(f"{self.address}/jobs", json=body, headers=self._bearer, timeout=30)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def said(self, job_id: str) -> str:
        """Return what was said, once the job has completed."""
        analysis = self.client.wait(job_id, lambda *_: None)
        return " ".join(segment.text for segment in analysis.segments)

    def result(self, job_id: str) -> object:
        answer = requests.get(
            f"{self.address}/jobs/{job_id}/result", headers=self._bearer, timeout=30
        )
        answer.raise_for_status()
        return answer.json()


@pytest.fixture(scope="module")
def service(stack: Stack) -> Service:
    return Service(stack)


@pytest.fixture(scope="module")
def kept(service: Service) -> dict[str, object]:
    """Results by job, which nothing that happens later may change."""
    return {}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Any number of recordings of more than two minutes, no two alike."""
    directory = tmp_path_factory.mktemp("recordings")
    spoken = [samples_of(CLIPS / name) for name in ("jfk.flac", "LJ001-0001.wav")]

    def make() -> Iterator[Path]:
        for number in itertools.count(1):
            pause = np.zeros(8_000 + 400 * number, np.float32)
            once = np.concatenate([part for clip in spoken for part in (clip, pause)])
            yield encode(directory / f"{number}.flac", np.tile(once, 6), 16_000)

    return make()


def open_jobs(stack: Stack) -> int:
    return int(stack.rows("SELECT count(*) FROM jobs WHERE status IN ('queued', 'running')")[0])


def running_steps(stack: Stack, queue: str) -> int:
    query = f"SELECT count(*) FROM steps WHERE state = 'running' AND queue LIKE '{queue}'"
    return int(stack.rows(query)[0])


def artifacts(stack: Stack) -> str:
    """Return the digests of all stored files."""
    look = "cd /data/artifacts && find . -type f | sort | xargs sha256sum"
    return stack.execute("api", "sh", "-c", look)


def test_every_check_of_health_passes(stack: Stack) -> None:
    for name in ALWAYS_UP:
        check = SERVICES[name]["healthcheck"]["test"]
        for container in stack.containers(name):
            until(lambda c=container, t=check: stack.healthy(c, t), 60, stack.logs)


def test_nobody_is_let_in_without_a_secret(stack: Stack) -> None:
    flower = f"http://127.0.0.1:{stack.ports['flower']}/workers"
    assert requests.get(f"{stack.address}/jobs", timeout=10).status_code == 401
    assert requests.get(flower, timeout=10).status_code == 401
    known = ("emotion-clf", stack.secret("FLOWER_PASSWORD"))
    assert requests.get(flower, auth=known, timeout=30).status_code == 200
    assert "NOAUTH" in stack.execute("redis", "env", "-u", "REDISCLI_AUTH", "redis-cli", "ping")


def metrics_token(stack: Stack, *command: str) -> str:
    """Run what gives Prometheus its token, or another command in its place."""
    once = ("--profile", "monitoring", "run", "--rm", "--no-deps", "-T", "metrics-token")
    return stack.compose(*once, *command).strip()


def metrics_token_works(stack: Stack) -> dict[str, str]:
    """See that the token opens the metrics; return it as a header."""
    bearer = {"Authorization": f"Bearer {metrics_token(stack, 'cat', '/data/token')}"}
    metrics = requests.get(f"{stack.address}/metrics", headers=bearer, timeout=30)
    assert "emotion_clf_database_up 1.0" in metrics.text
    return bearer


def test_prometheus_has_a_token_of_its_own(stack: Stack) -> None:
    for _ in range(2):  # a second start gives a new token to the same client
        metrics_token(stack)
    bearer = metrics_token_works(stack)
    assert requests.get(f"{stack.address}/jobs", headers=bearer, timeout=10).status_code == 403
    assert stack.rows("SELECT count(*) FROM clients WHERE name = 'prometheus'") == ["1"]
    worker = "import urllib.request as web; print(web.urlopen('http://worker-gpu:9100').read())"
    assert "emotion_clf_" in stack.execute("api", "python", "-c", worker)


def test_downloads_find_their_code(stack: Stack) -> None:
    # They run in a process of their own, which takes no paths from the environment.
    for worker in ("worker-cpu", "worker-gpu"):
        stack.execute(worker, "python", "-I", "-c", "import ml.source.isolated")


def test_a_link_an_upload_and_a_text(
    stack: Stack, service: Service, kept: dict[str, object]
) -> None:
    linked = service.submit(url="http://media:8080/LJ001-0001.wav")
    uploaded = service.client.submit_file(CLIPS / "jfk.flac")
    written = service.submit(text="I am so happy about this! But I am afraid of tomorrow.")
    assert "printing" in service.said(linked).lower()
    assert JFK in service.said(uploaded).lower()
    assert service.said(written).startswith("I am so happy")
    kept |= {job: service.result(job) for job in (linked, uploaded, written)}


def test_two_gpu_workers_share_one_recording(
    stack: Stack, service: Service, kept: dict[str, object], clips: Iterator[Path]
) -> None:
    stack.write("WORKER_GPU_COUNT", "2")
    stack.up()
    assert len(stack.containers("worker-gpu")) == 2
    alive = "SELECT count(*) FROM workers WHERE queue = 'gpu' AND seen_at > now() - interval '5 s'"
    until(lambda: stack.rows(alive) == ["2"], 120, stack.logs)
    job = service.client.submit_file(next(clips))
    assert service.said(job).lower().count(JFK) == 6
    shares = stack.rows(
        "SELECT worker, count(*) FROM steps"
        f" WHERE stage = 'transcribe' AND job_id = '{job}' GROUP BY 1"
    )
    assert len(shares) == 2, shares
    kept[job] = service.result(job)


REACHES = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3).close()
    print("yes")
except OSError:
    print("no")
"""
THROUGH_THE_PROXY = """
import sys, urllib.error, urllib.request
proxy = urllib.request.ProxyHandler({"http": "http://egress:3128"})
try:
    print(urllib.request.build_opener(proxy).open(sys.argv[1], timeout=10).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


def test_the_proxy_is_the_only_way_out(stack: Stack) -> None:
    def address(service: str, seen_by: str) -> str:
        look = f"import socket; print(socket.gethostbyname('{service}'))"
        return stack.execute(seen_by, "python", "-c", look).strip()

    def reaches(service: str, host: str, port: int) -> str:
        return stack.execute(service, "python", "-c", REACHES, host, str(port)).strip()

    def fetched(link: str) -> str:
        return stack.execute("worker-cpu", "python", "-c", THROUGH_THE_PROXY, link).strip()

    outside = address("media", "egress")
    database = address("postgres", "api")
    assert reaches("egress", outside, 8080) == "yes"
    for worker in ("worker-cpu", "worker-gpu", "dispatcher"):
        assert reaches(worker, outside, 8080) == "no"
        assert reaches(worker, "1.1.1.1", 443) == "no"
        assert reaches(worker, database, 5432) == "yes"
    assert reaches("worker-gpu", "egress", 3128) == "no"
    assert reaches("egress", database, 5432) == "no"
    assert fetched("http://media:8080/jfk.flac") == "200"
    assert fetched(f"http://{database}:5432/") == "403"
    assert fetched("http://169.254.169.254/latest/meta-data/") == "403"


def test_nothing_can_be_written_but_where_it_must_be(stack: Stack) -> None:
    for name in ALWAYS_UP:
        command = ["sh", "-c", "touch /usr/x 2>/dev/null || echo refused"]
        assert stack.execute(name, *command).strip() == "refused", name
        status = stack.execute(name, "cat", "/proc/1/status")
        capabilities = next(line for line in status.splitlines() if line.startswith("CapEff"))
        assert int(capabilities.split()[1], 16) == 0, name
        assert "NoNewPrivs:\t1" in status, name


def test_whatever_is_killed_every_job_completes_once(
    stack: Stack, service: Service, kept: dict[str, object], clips: Iterator[Path]
) -> None:
    stack.rows(HISTORY)
    jobs = []
    for victim in ("worker-gpu", "worker-cpu", "redis", "postgres", "dispatcher"):
        jobs.append(service.client.submit_file(next(clips)))
        jobs += [service.submit(text=f"I am so happy. {victim} {n}!") for n in range(5)]
        queue = "gpu" if victim == "worker-gpu" else "%"  # on the other queue steps are short
        until(lambda queue=queue: running_steps(stack, queue), 60, stack.logs)
        dead = stack.kill(victim)
        time.sleep(2)
        stack.start(dead)
        until(stack.ready, 120, stack.logs)
    until(lambda: open_jobs(stack) == 0, 600, stack.logs)

    ended = stack.rows("SELECT status, count(*) FROM jobs GROUP BY 1")
    assert ended == [f"completed|{len(kept) + len(jobs)}"]
    assert done_more_than_once(stack) == []
    assert int(stack.rows("SELECT sum(losses) FROM steps")[0]) >= 1  # a worker died at work
    assert int(stack.rows("SELECT count(*) FROM history WHERE event = 'result'")[0]) == len(jobs)
    kept |= {job: service.result(job) for job in jobs}
    spoken = [json.dumps(kept[job]).lower() for job in jobs[::6]]
    assert [text.count(JFK) > 0 for text in spoken] == [True] * 5


def test_everything_is_there_after_a_restart(
    stack: Stack, service: Service, kept: dict[str, object]
) -> None:
    before = artifacts(stack)
    stack.down()
    stack.up()
    assert {job: service.result(job) for job in kept} == kept
    assert artifacts(stack) == before
    assert len(stack.containers("worker-gpu")) == 2


def make(target: str, stack: Stack, *variables: str) -> str:
    compose = [*stack.command, "--profile", "monitoring"]
    return run(["make", "--silent", target, f"COMPOSE={' '.join(compose)}", *variables], 300)


def test_a_backup_becomes_the_service_again(
    stack: Stack, service: Service, kept: dict[str, object]
) -> None:
    before = artifacts(stack)
    backup = stack.directory / "backup.tar"
    make("backup", stack, f"FILE={backup}")
    stack.down(volumes=True)
    stack.up()
    assert stack.rows("SELECT count(*) FROM jobs") == ["0"]
    metrics_token(stack)

    make("restore", stack, f"FILE={backup}")
    until(stack.ready, 120, stack.logs)
    assert {job: service.result(job) for job in kept} == kept
    assert artifacts(stack) == before
    assert service.said(service.submit(text="It goes on.")) == "It goes on."
    metrics_token_works(stack)
    with pytest.raises(AssertionError, match="a restore would replace them"):
        make("restore", stack, f"FILE={backup}")
