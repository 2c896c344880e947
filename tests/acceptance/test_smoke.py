"""The check of a deployed service, against a real one with authentication."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from durability.cluster import Cluster

from emotion_clf.local.servers import Postgres, Redis, free_port

pytestmark = pytest.mark.acceptance

SMOKE = Path(__file__).parents[1] / "smoke.py"


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, redis_server: Redis
) -> Iterator[Cluster]:
    """A service with its models, which asks for tokens."""
    cluster = Cluster(tmp_path_factory.mktemp("smoke"), postgres, redis_server)
    settings = {"EMOTION_CLF_AUTH__SECRET": "smoke" * 8}
    cluster.start("gpu", "cpu", "dispatcher", "api", faults=[], **settings)
    yield cluster
    cluster.close()


@pytest.fixture(scope="module")
def client(service: Cluster) -> dict[str, str]:
    command = [sys.executable, "-m", "emotion_clf", "client", "add", "smoke test"]
    done = subprocess.run(
        [*command, "--scope", "jobs:read", "--scope", "jobs:write"],
        env=os.environ | {"DATABASE_URL": service.postgres.url},
        capture_output=True,
        text=True,
        check=True,
    )
    named = dict(re.findall(r"^(id|secret) +(\S+)$", done.stdout, re.MULTILINE))
    return {"SMOKE_CLIENT_ID": named["id"], "SMOKE_CLIENT_SECRET": named["secret"]}


def smoke(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", str(SMOKE), *map(str, arguments)]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_a_service_that_works(service: Cluster, client: dict[str, str], jfk: Path) -> None:
    done = smoke(service.address, jfk, **client)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{service.address} works")


def test_a_service_that_refuses(service: Cluster, client: dict[str, str]) -> None:
    done = smoke(service.address, **client | {"SMOKE_CLIENT_SECRET": "guessed"})
    assert done.returncode == 1
    assert done.stderr.startswith("POST /auth/token: 401 instead of 200: ")

    done = smoke(service.address)
    assert done.returncode == 1
    assert done.stderr.startswith("POST /jobs: 401 instead of 202: ")


def test_a_service_whose_workers_are_gone(service: Cluster, client: dict[str, str]) -> None:
    service.stop("gpu")
    done = smoke(service.address, **client, SMOKE_SECONDS="3")
    assert done.returncode == 1
    assert re.match(r"Job [0-9a-f-]+: (queued|running) ", done.stderr), done.stderr


def test_a_service_that_is_not_there() -> None:
    done = smoke(f"http://127.0.0.1:{free_port()}", SMOKE_SECONDS="1")
    assert done.returncode == 1
    assert "did not get ready" in done.stderr
    assert smoke().returncode == smoke("localhost:8000").returncode == 2
