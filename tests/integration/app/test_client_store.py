"""Clients, their secrets, and tokens that were taken back, in a real database."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.auth import LONGEST_LIFE, Scope
from app.db import create_db_engine
from app.errors import AuthBusy, AuthInvalid, ClientNotFound
from app.models import ClientRow, RevokedTokenRow
from app.stores import clients as client_store
from app.stores.clients import ClientStore


@pytest.fixture
def engine(database):
    engine = create_db_engine(database)
    yield engine
    engine.dispose()


@pytest.fixture
def clients(engine) -> ClientStore:
    return ClientStore(engine)


def test_a_client_is_known_by_its_secret(clients):
    client, secret = clients.add("a program", {Scope.JOBS_READ})
    assert clients.authenticate(client.id, secret) == client
    assert [known.name for known in clients.list()] == ["a program"]
    for client_id, guess in ((client.id, "guess"), ("other", secret), ("", ""), ("\x00", secret)):
        with pytest.raises(AuthInvalid):
            clients.authenticate(client_id, guess)


def test_the_database_holds_no_secret(clients, engine):
    _, secret = clients.add("a program", {Scope.JOBS_READ})
    with engine.connect() as connection:
        row = connection.execute(sa.select(ClientRow.__table__)).one()
    assert secret not in str(row)
    assert row.secret_hash.startswith("$argon2id$")


def test_another_secret_replaces_the_first(clients):
    client, first = clients.add("a program", {Scope.JOBS_READ})
    second = clients.rotate(client.id)
    assert clients.authenticate(client.id, second).id == client.id
    with pytest.raises(AuthInvalid):
        clients.authenticate(client.id, first)


def test_a_revoked_client_stays_known_and_is_refused(clients):
    client, secret = clients.add("a program", {Scope.JOBS_READ})
    assert not clients.revoked("any", client.id)
    clients.revoke(client.id)
    (first,) = clients.list()
    clients.revoke(client.id)
    assert clients.list() == [first]
    assert first.revoked_at is not None
    assert clients.revoked("any", client.id)
    with pytest.raises(AuthInvalid):
        clients.authenticate(client.id, secret)
    for change in (clients.rotate, clients.get):
        with pytest.raises(ClientNotFound):
            change(client.id)


def test_there_is_nothing_to_change_of_an_unknown_client(clients):
    for change in (clients.revoke, clients.rotate, clients.get):
        with pytest.raises(ClientNotFound):
            change("unknown")


def test_a_revocation_is_kept_as_long_as_the_token_would_be_good(clients, engine):
    until = datetime.now(UTC) + timedelta(hours=1)
    clients.revoke_token("known", until)
    clients.revoke_token("known", until + timedelta(hours=1))
    clients.revoke_token("unknown")
    with engine.connect() as connection:
        kept = dict(connection.execute(sa.select(*RevokedTokenRow.__table__.columns)).all())
    assert kept["known"] == until
    assert kept["unknown"] - until > LONGEST_LIFE - timedelta(hours=2)
    assert [clients.revoked(jti, "alice") for jti in ("known", "unknown", "other")] == [
        True,
        True,
        False,
    ]


def test_only_so_many_secrets_are_hashed_at_once(clients, monkeypatch):
    monkeypatch.setattr(client_store, "_hashing", threading.BoundedSemaphore(1))
    monkeypatch.setattr(client_store, "_PATIENCE_SECONDS", 0.01)
    client, secret = clients.add("a program", {Scope.JOBS_READ})
    with client_store._hashing, pytest.raises(AuthBusy):
        clients.authenticate(client.id, secret)
    assert clients.authenticate(client.id, secret).id == client.id


def test_who_comes_while_many_wait_is_turned_away_at_once(clients, monkeypatch):
    """Waiting holds a thread of the server, and the others are for those who have a token."""
    monkeypatch.setattr(client_store, "_in_line", threading.BoundedSemaphore(1))
    client, secret = clients.add("a program", {Scope.JOBS_READ})
    began = time.monotonic()
    with client_store._in_line, pytest.raises(AuthBusy):
        clients.authenticate(client.id, secret)
    assert time.monotonic() - began < client_store._PATIENCE_SECONDS / 2
    assert clients.authenticate(client.id, secret).id == client.id


def test_an_unknown_client_costs_as_much_as_a_known_one(clients, monkeypatch):
    verified = []
    monkeypatch.setattr(client_store, "_verified", lambda known, secret: verified.append(known))
    client, secret = clients.add("a program", {Scope.JOBS_READ})
    for client_id in (client.id, "unknown"):
        with pytest.raises(AuthInvalid):
            clients.authenticate(client_id, secret)
    known, unknown = (text.rpartition("$")[0].rpartition("$")[0] for text in verified)
    assert known == unknown == "$argon2id$v=19$m=65536,t=3,p=4"
