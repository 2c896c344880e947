"""Clients and their secrets, and tokens that were taken back."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine, RowMapping, exists, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from app.auth import LONGEST_LIFE, Scope, parse_scopes
from app.errors import AuthBusy, AuthInvalid, ClientNotFound
from app.models import ClientRow, RevokedTokenRow

_SECRET_BYTES = 32
_ID_BYTES = 8
_HASHES_AT_ONCE = max(1, (os.cpu_count() or 1) // 2)
"""One takes a core for some 50 ms, and 64 MiB."""
_LONGEST_LINE = max(6, 2 * _HASHES_AT_ONCE)
"""Who waits holds a thread that others need, and anybody may ask, from many addresses."""
_PATIENCE_SECONDS = 5.0

_hasher = PasswordHasher()
_hashing = threading.BoundedSemaphore(_HASHES_AT_ONCE)
_in_line = threading.BoundedSemaphore(_LONGEST_LINE)


@dataclass(frozen=True, slots=True)
class Client:
    """A program that may ask for tokens."""

    id: str
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    revoked_at: datetime | None


class ClientStore:
    """The register of clients. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, name: str, scopes: Iterable[Scope]) -> tuple[Client, str]:
        """Enter a client; return it with its secret, which cannot be read again."""
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        row = insert(ClientRow).values(
            id=secrets.token_hex(_ID_BYTES),
            name=name,
            secret_hash=_hashed(secret),
            scopes=sorted(scopes),
        )
        with self._engine.begin() as connection:
            return _client(connection.execute(row.returning(ClientRow)).mappings().one()), secret

    def list(self) -> Sequence[Client]:
        """Return every client, the oldest first, those that were revoked too."""
        query = select(*ClientRow.__table__.columns).order_by(ClientRow.created_at, ClientRow.id)
        with self._engine.connect() as connection:
            return [_client(row) for row in connection.execute(query).mappings()]

    def get(self, client_id: str) -> Client:
        """Return a client; raise :class:`app.errors.ClientNotFound`, also for a revoked one."""
        row = self._row(client_id)
        if row is None or row["revoked_at"] is not None:
            raise ClientNotFound
        return _client(row)

    def revoke(self, client_id: str) -> None:
        """End a client: it gets no token any more, and those that it has are refused at once.

        Revoking twice is no error. Raises :class:`app.errors.ClientNotFound`.
        """
        when = func.coalesce(ClientRow.revoked_at, func.now())
        change = update(ClientRow).where(ClientRow.id == client_id).values(revoked_at=when)
        with self._engine.begin() as connection:
            if not connection.execute(change).rowcount:
                raise ClientNotFound

    def rotate(self, client_id: str) -> str:
        """Replace a client's secret; return the new one. Tokens given before stay good.

        Raises :class:`app.errors.ClientNotFound`, also for a client that was revoked.
        """
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        change = (
            update(ClientRow)
            .where(ClientRow.id == client_id, ClientRow.revoked_at.is_(None))
            .values(secret_hash=_hashed(secret))
        )
        with self._engine.begin() as connection:
            if not connection.execute(change).rowcount:
                raise ClientNotFound
        return secret

    def authenticate(self, client_id: str, secret: str) -> Client:
        """Return the client whose secret this is.

        Raises:
            AuthInvalid: unknown, revoked or another secret; each takes as long.
            AuthBusy: too many secrets are being checked.

        """
        row = self._row(client_id)
        known = row["secret_hash"] if row else _nobodys_hash()
        matches = _verified(known, secret)
        if row is None or not matches or row["revoked_at"] is not None:
            raise AuthInvalid
        return _client(row)

    def revoked(self, jti: str, owner: str) -> bool:
        """Whether a token was taken back, or the client that it was given to."""
        query = select(
            or_(
                exists().where(RevokedTokenRow.jti == jti),
                exists().where(ClientRow.id == owner, ClientRow.revoked_at.is_not(None)),
            )
        )
        with self._engine.connect() as connection:
            return bool(connection.execute(query).scalar_one())

    def revoke_token(self, jti: str, expires_at: datetime | None = None) -> None:
        """Take a token back. Without ``expires_at`` for as long as any token may be good."""
        until = expires_at or datetime.now(UTC) + LONGEST_LIFE
        row = upsert(RevokedTokenRow).values(jti=jti, expires_at=until).on_conflict_do_nothing()
        with self._engine.begin() as connection:
            connection.execute(row)

    def _row(self, client_id: str) -> RowMapping | None:
        # Postgres does not take every character, and would fail where the answer is no.
        if not client_id.isprintable():
            return None
        query = select(*ClientRow.__table__.columns).where(ClientRow.id == client_id)
        with self._engine.connect() as connection:
            return connection.execute(query).mappings().one_or_none()


def _client(row: RowMapping) -> Client:
    return Client(
        id=row["id"],
        name=row["name"],
        scopes=parse_scopes(row["scopes"]),
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )


@contextmanager
def _turn() -> Iterator[None]:
    """Wait for one of the few places in which secrets are hashed; raise AuthBusy."""
    if not _in_line.acquire(blocking=False):
        raise AuthBusy
    try:
        if not _hashing.acquire(timeout=_PATIENCE_SECONDS):
            raise AuthBusy
        try:
            yield
        finally:
            _hashing.release()
    finally:
        _in_line.release()


def _hashed(secret: str) -> str:
    with _turn():
        return _hasher.hash(secret)


def _verified(known: str, secret: str) -> bool:
    with _turn():
        try:
            return _hasher.verify(known, secret)
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False


@cache
def _nobodys_hash() -> str:
    """Return a hash that no secret has, for clients that do not exist."""
    return _hasher.hash(secrets.token_urlsafe(_SECRET_BYTES))
