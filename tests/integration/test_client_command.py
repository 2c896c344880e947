"""``emotion-clf client`` and ``emotion-clf token`` as an operator types them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from app.api import create_app
from app.settings import Settings

SECRET = "a secret of at least thirty-two characters"


@pytest.fixture
def run(database, tmp_path):
    """Run a command; return exit code, stdout and stderr."""
    config = tmp_path / "config.yaml"
    config.write_text(f"auth:\n  secret: {SECRET}\n")

    def run(*words: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "emotion_clf", *words, "--config", str(config)],
            env=os.environ | {"DATABASE_URL": database},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def client(database, tmp_path):
    settings = Settings.load(
        database_url=database,
        artifact_url=f"file://{tmp_path}",
        redis_url="redis://127.0.0.1:1/0",
        auth={"secret": SECRET},
    )
    return create_app(settings).test_client()


def token_for(client, client_id: str, secret: str):
    return client.post("/auth/token", data={"client_id": client_id, "client_secret": secret})


def test_a_client_from_its_first_token_to_its_end(run, client):
    code, output, said = run("client", "add", "night shift", "--scope", "jobs:read")
    assert (code, said) == (0, "")
    client_id, secret = (line.split()[1] for line in output.splitlines())
    assert token_for(client, client_id, secret).status_code == 200

    code, output, _ = run("client", "rotate", client_id)
    assert code == 0
    assert token_for(client, client_id, secret).status_code == 401
    assert token_for(client, client_id, output.split()[1]).status_code == 200

    _, token, _ = run("token", "--client", client_id, "--scope", "jobs:read", "--hours", "0.5")
    headers = {"Authorization": f"Bearer {token.strip()}"}
    assert client.get("/jobs", headers=headers).status_code == 200
    assert client.post("/jobs", json={"text": "Hello."}, headers=headers).status_code == 403

    assert run("client", "revoke", client_id) == (0, "", "")
    assert client.get("/jobs", headers=headers).status_code == 401
    code, output, said = run("client", "rotate", client_id)
    assert (code, output) == (69, "")
    assert said.startswith("emotion-clf: client.not_found: ")
