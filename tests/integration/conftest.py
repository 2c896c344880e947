"""What tests of several parts on a real database share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from app.db import create_db_engine


@pytest.fixture
def engine(database: str) -> Iterator[sa.Engine]:
    """The empty database, as the service connects to it."""
    engine = create_db_engine(database)
    yield engine
    engine.dispose()
