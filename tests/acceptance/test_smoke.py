"""The check of a deployed service, against a real one with authentication."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from emotion_clf.local.servers import free_port
from emotion_clf.local.service import LocalService

pytestmark = pytest.mark.acceptance

SMOKE = Path(__file__).parents[1] / "smoke.py"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """A service that asks for tokens."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOTION_CLF_AUTH__SECRET", "smoke" * 8)
        with LocalService(tmp_path_factory.mktemp("smoke"), port=free_port()) as running:
            yield running


@pytest.fixture(scope="module")
def client(service: LocalService) -> dict[str, str]:
    command = [sys.executable, "-m", "emotion_clf", "client", "add", "smoke test"]
    done = subprocess.run(
        [*command, "--scope", "jobs:read", "--scope", "jobs:write"],
        env=os.environ | service.environment,
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


def test_a_service_that_works(service: LocalService, client: dict[str, str], jfk: Path) -> None:
    done = smoke(service.addresses.api, jfk, **client)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{service.addresses.api} works")


def test_a_service_that_refuses(service: LocalService, client: dict[str, str]) -> None:
    done = smoke(service.addresses.api, **client | {"SMOKE_CLIENT_SECRET": "guessed"})
    assert done.returncode == 1
    assert done.stderr.startswith("POST /auth/token: 401 instead of 200: ")

    done = smoke(service.addresses.api)
    assert done.returncode == 1
    assert done.stderr.startswith("POST /jobs: 401 instead of 202: ")


def test_a_service_whose_workers_are_gone(service: LocalService, client: dict[str, str]) -> None:
    for child in service.children:
        if child.name == "worker-gpu":
            child.stop(10)
    done = smoke(service.addresses.api, **client, SMOKE_SECONDS="3")
    assert done.returncode == 1
    assert re.match(r"Job [0-9a-f-]+: (queued|running) ", done.stderr), done.stderr


def test_a_service_that_is_not_there() -> None:
    done = smoke(f"http://127.0.0.1:{free_port()}", SMOKE_SECONDS="1")
    assert done.returncode == 1
    assert "did not get ready" in done.stderr
    assert smoke().returncode == smoke("localhost:8000").returncode == 2
