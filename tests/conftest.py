"""What several kinds of tests share: a real database, a real broker, real speech."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from egress import egress  # noqa: F401
from media import cancel_after, media_server, other_server  # noqa: F401
from object_store import s3, stormy_url, weather  # noqa: F401

from emotion_clf.local.servers import Postgres, Redis

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def jfk() -> Path:
    """Eleven seconds of speech, public domain."""
    return DATA / "jfk.flac"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL server of the session's own."""
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_url(postgres: Postgres) -> str:
    return postgres.url


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A Redis server of the session's own."""
    server = Redis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_url(redis_server: Redis) -> str:
    return redis_server.url


@pytest.fixture(scope="session")
def migrated_url(postgres_url: str) -> str:
    """The database with every migration applied."""
    from migrations.run import upgrade

    upgrade(postgres_url)
    return postgres_url


@pytest.fixture
def database(migrated_url: str) -> Iterator[str]:
    """The URL of a migrated database that is empty at the start of the test."""
    import sqlalchemy as sa

    engine = sa.create_engine(migrated_url)
    with engine.begin() as connection:
        tables = (
            "batches, clients, deletions, idempotency_keys, jobs, revoked_tokens, usage, workers"
        )
        connection.execute(sa.text(f"TRUNCATE {tables} CASCADE"))
    engine.dispose()
    yield migrated_url
