"""What real processes tell of real requests: in logs, metrics, traces and health."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from durability.cluster import STUBS, Cluster, children_of
from otlp_collector import Collector, ReceivedSpan, collecting

from app.jobs import JobStatus
from app.stores.clients import ClientStore
from emotion_clf.local.servers import Postgres, Redis, free_port

pytestmark = pytest.mark.acceptance

SECRET = "marker-signing-secret-marker-signing-secret"
WEBHOOK_SECRET = "marker-webhook-secret-marker-webhook-secret"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    """Where each worker serves its metrics."""
    return {"cpu": free_port(), "gpu": free_port()}


@pytest.fixture(scope="module")
def settings(collector: Collector) -> dict[str, str]:
    """Have processes trace and log all that they can."""
    return {
        "EMOTION_CLF_TRACING__ENDPOINT": collector.endpoint,
        "EMOTION_CLF_AUTH__SECRET": SECRET,
        "EMOTION_CLF_WEBHOOKS__SECRET": WEBHOOK_SECRET,
        "EMOTION_CLF_SOURCE__ALLOWED_NETWORKS": "127.0.0.0/8",
        "LOG_LEVEL": "debug",
    }


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory,
    postgres: Postgres,
    redis_server: Redis,
    settings: dict[str, str],
    ports: dict[str, int],
) -> Iterator[Cluster]:
    """The API, a dispatcher and two workers."""
    cluster = Cluster(tmp_path_factory.mktemp("observability"), postgres, redis_server)
    cluster.start("dispatcher", "api", **settings)
    for queue, port in ports.items():
        cluster.start(queue, **settings, EMOTION_CLF_METRICS__WORKER_PORT=str(port))
    yield cluster
    cluster.close()


@pytest.fixture
def cluster(service: Cluster) -> Cluster:
    service.idle()
    return service


@pytest.fixture(scope="module")
def token(service: Cluster) -> str:
    client, secret = ClientStore(service.engine).add("tester", ["jobs:read", "jobs:write"])
    answer = requests.post(
        f"{service.address}/auth/token",
        data={"grant_type": "client_credentials"},
        auth=(client.id, secret),
        timeout=10,
    )
    token: str = answer.json()["access_token"]
    return token


def post(cluster: Cluster, token: str, **body: Any) -> requests.Response:
    answer = requests.post(
        f"{cluster.address}/jobs",
        json=body,
        headers={"Authorization": f"Bearer {token}", "X-Request-ID": "request-7"},
        timeout=10,
    )
    assert answer.status_code == 202, answer.text
    return answer


def until_ended(cluster: Cluster, job_id: str) -> None:
    query = "SELECT count(*) FROM jobs WHERE id = :id AND finished_at IS NOT NULL"
    cluster.until(lambda: cluster.count(query, id=job_id) == 1, seconds=60)


def test_one_trace_goes_from_the_request_to_the_last_step(
    cluster: Cluster, collector: Collector, token: str
) -> None:
    collector.spans.clear()
    until_ended(cluster, post(cluster, token, text="marker-text 0 well").json()["id"])

    def steps() -> list[ReceivedSpan]:
        return [span for span in collector.spans if span.name.startswith("step ")]

    cluster.until(lambda: len(steps()) == 3, seconds=10)
    cluster.until(lambda: any(s.name == "POST /jobs" for s in collector.spans), seconds=10)
    (request,) = (span for span in collector.spans if span.name == "POST /jobs")
    assert request.attributes["http.response.status_code"] == 202
    assert {(span.trace, span.parent) for span in steps()} == {(request.trace, request.span)}
    assert {(span.service, span.name) for span in steps()} == {
        ("cpu-worker", "step segment"),
        ("gpu-worker", "step classify"),
        ("cpu-worker", "step aggregate"),
    }
    assert "marker" not in str(collector.spans)


def lines_of(cluster: Cluster, name: str) -> list[dict[str, Any]]:
    lines = cluster.log_of(name).splitlines()
    # Celery says by itself, and not in JSON, that it was told to stop.
    return [json.loads(line) for line in lines if line.startswith("{")]


def test_a_request_and_each_of_its_steps_leave_one_line_each(cluster: Cluster, token: str) -> None:
    job = post(cluster, token, text="marker-text 0 well").json()["id"]
    until_ended(cluster, job)
    owner = cluster.rows("SELECT owner FROM jobs WHERE id = :id", id=job)[0][0]
    cluster.until(lambda: len(steps_of(cluster, job)) == 3, seconds=5)
    for step in steps_of(cluster, job):
        assert (step["outcome"], step["client"]) == ("done", owner)
        assert step["request_id"] == "request-7"
        queue = str(step["worker"]).partition("-")[0]
        assert step["service"] == f"{queue}-worker"
        assert {"step", "part", "attempt", "ms"} <= step.keys()
    submitted = [
        line
        for line in lines_of(cluster, "api")
        if line["event"] == "request" and line["route"] == "/jobs"
    ][-1]
    assert (submitted["client"], submitted["status"]) == (owner, 202)
    assert {"request_id", "ms"} <= submitted.keys()


def steps_of(cluster: Cluster, job: str) -> list[dict[str, Any]]:
    return [
        line
        for name in ("cpu", "gpu")
        for line in lines_of(cluster, name)
        if line["event"] == "step" and line["job"] == job
    ]


def metrics_of(address: str, token: str | None = None) -> str:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.get(f"{address}/metrics", headers=headers, timeout=5).text


def value_in(text: str, sample: str) -> float:
    found = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_a_worker_serves_what_all_its_children_have_counted(
    cluster: Cluster, ports: dict[str, int]
) -> None:
    address = f"http://127.0.0.1:{ports['gpu']}"
    done = 'emotion_clf_step_duration_seconds_count{outcome="done",stage="classify"}'
    before = metrics_of(address)
    assert value_in(before, 'emotion_clf_worker_resident_memory_bytes{role="pool"}') > 10e6
    assert value_in(before, 'emotion_clf_worker_resident_memory_bytes{role="parent"}') > 10e6
    cluster.wait_for(cluster.submit(2, seconds=0), seconds=30)
    # The child that counted them dies; what it counted stays.
    cluster.wait_for(cluster.submit(1, seconds=0, behaviour="kill"), seconds=60)
    cluster.wait_for(cluster.submit(1, seconds=0), seconds=60)

    def more(sample: str) -> float:
        return value_in(metrics_of(address), sample) - value_in(before, sample)

    cluster.until(lambda: more(done) == 3, seconds=10)
    # Where the short lease of the tests ends first, the dispatcher takes the step.
    assert 1 <= more("emotion_clf_step_losses_total") <= 3


def test_a_worker_that_hangs_turns_readiness_red_and_is_replaced(cluster: Cluster) -> None:
    health = f"{cluster.address}/health/ready"
    assert requests.get(health, timeout=5).status_code == 200
    worker = cluster.processes["gpu"]
    assert worker.pid
    (child,) = children_of(worker.pid)
    os.kill(child, signal.SIGSTOP)
    jobs = cluster.submit(1, seconds=0)

    def red() -> bool:
        problem = requests.get(health, timeout=5).json()
        fault = {"field": "workers.gpu", "message": "It does not take what waits."}
        return fault in problem.get("errors", [])

    cluster.until(red, seconds=20)
    hung = worker.pid
    cluster.wait_for(jobs, seconds=60)
    assert cluster.job(jobs[0]).status is JobStatus.COMPLETED
    assert worker.pid != hung
    assert "worker.hung" in cluster.log_of("gpu")
    assert requests.get(health, timeout=5).status_code == 200


def test_no_process_logs_what_is_said_or_secret(
    cluster: Cluster, settings: dict[str, str], token: str
) -> None:
    """At level debug, with libraries that are told everything, and with errors that quote it."""
    text = f"marker-text 0 well {cluster.address}/health"
    callback = f"{cluster.address}/marker-free/hook?key=marker-in-a-callback"
    link = f"{cluster.address}/recording.mp3?key=marker-in-a-link"
    cluster.stop("gpu")
    cluster.start("gpu", faults=[*STUBS, "telling"], **settings)
    told = post(cluster, token, text=text, callback_url=callback).json()["id"]
    linked = post(cluster, token, url=link).json()["id"]
    requests.get(
        f"{cluster.address}/jobs?cursor=marker-in-a-query",
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    )
    for bad in ({"text": "marker-text", "odd": "marker"}, {"url": "marker://x"}):
        requests.post(f"{cluster.address}/jobs", json=bad, timeout=10)
    for job in (told, linked):
        until_ended(cluster, job)
    (defect,) = (line for line in lines_of(cluster, "gpu") if line["event"] == "step.defect")
    assert "ValueError" in defect["exception"]
    assert "22P02" in defect["exception"], "Postgres' code says what kind of error it was"
    assert "telling.py" in defect["exception"]
    for name in ("api", "dispatcher", "cpu", "gpu"):
        log = cluster.log_of(name)
        assert '"level": "debug"' in log or name == "dispatcher"
        assert "marker" not in log.replace("marker-free", ""), name
        assert token.split(".")[1] not in log, name
