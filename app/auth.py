"""Tokens: who is asking and what they may do (RFC 7519, by the practices of RFC 8725).

One algorithm, named by the settings; nothing that a token says of itself chooses a key or an
algorithm, apart from the name of one key among those of the identity provider. Whether a
token was revoked is not told here but by :class:`app.stores.clients.ClientStore`.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import jwt

from app.errors import AuthInvalid, Forbidden
from app.settings.sections import AuthSettings
from app.token_keys import ProviderKeys
from ml.errors import SettingInvalid

LONGEST_LIFE = timedelta(days=366)
"""No token is good for longer, so a revocation need not be kept for longer either."""
_LONGEST_TOKEN = 8192
"""In characters; tokens of identity providers with many groups come near half of it."""
_COMPACT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
"""RFC 7515, section 7.1. PyJWT also takes padding, which makes two texts of one token."""
_LONGEST_NAME = 255
_LEEWAY_SECONDS = 10
_CLAIMS = ("exp", "iat", "iss", "aud", "sub", "jti")
_TYPES = ("jwt", "at+jwt")
_HEADER = frozenset({"alg", "typ"})
_PROVIDER_HEADER = _HEADER | {"kid", "x5t"}
"""What a header may hold. All that names keys by address or brings them along (``jku``,
``jwk``, ``x5u``, ``x5c``), and all that changes how the token is read (``crit``, ``b64``,
``zip``), is refused. ``x5t`` is a fingerprint that some providers add; it is not used."""


class Scope(StrEnum):
    """What a token may be used for."""

    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    METRICS_READ = "metrics:read"
    ADMIN = "admin"
    """Everything, also what is other clients'."""


SCOPES = {
    Scope.JOBS_READ: "look at one's own jobs and results",
    Scope.JOBS_WRITE: "submit, cancel and erase jobs",
    Scope.METRICS_READ: "read the metrics of the service",
    Scope.ADMIN: "everything, and revoke tokens",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking."""

    owner: str
    """Owner of the jobs that they see and submit: the token's ``sub``."""
    scopes: frozenset[Scope]
    jti: str | None = None
    """Identifier of the token; None where no token was needed."""
    expires_at: datetime | None = None

    def require(self, scope: Scope) -> None:
        """Raise :class:`app.errors.Forbidden` unless this is allowed."""
        if not self.scopes & {scope, Scope.ADMIN}:
            raise Forbidden(f"The token does not have the scope {scope}.")


LOCAL = Identity("local", frozenset({Scope.ADMIN}))
"""Everybody, where nothing is configured to tell them apart."""


def parse_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes of these names; ValueError for one that there is not."""
    return frozenset(Scope(name) for name in names)


class _StrictJwt(jwt.PyJWT):
    """PyJWT that takes no JSON which two readers may read differently."""

    def _decode_payload(self, decoded: dict[str, Any]) -> dict[str, Any]:
        return _strict_object(decoded["payload"])


class Tokens:
    """Checks tokens, and issues them where a secret is shared with nobody else."""

    def __init__(self, settings: AuthSettings) -> None:
        self._settings = settings
        self._keys = ProviderKeys(settings) if settings.jwks else None
        self._jwt = _StrictJwt(
            options={"require": list(_CLAIMS), "enforce_minimum_key_length": True}
        )

    def verify(self, token: str) -> Identity:
        """Return who a token is for.

        Raises:
            AuthInvalid: it is not a token of this installation, or its time is over.
            KeysUnavailable: the identity provider's keys are not known and cannot be fetched.

        """
        if len(token) > _LONGEST_TOKEN or not _COMPACT.fullmatch(token):
            raise AuthInvalid
        try:
            key = self._key(_header(token))
            claims = self._jwt.decode(
                token,
                key,
                algorithms=[self._settings.algorithm],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=_LEEWAY_SECONDS,
            )
            return _identity(claims)
        except jwt.ExpiredSignatureError:
            raise AuthInvalid("The token has expired.") from None
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise AuthInvalid from None

    def issue(self, owner: str, scopes: Iterable[Scope], life: timedelta) -> str:
        """Return a new token; raise :class:`ml.errors.SettingInvalid` without a secret."""
        settings = self._settings
        if settings.secret is None:
            raise SettingInvalid(
                "auth.secret is not set; allowed: text of at least 32 characters. "
                "With auth.jwks the identity provider gives the tokens."
            )
        now = int(time.time())
        claims = {
            "iss": settings.issuer,
            "aud": settings.audience,
            "sub": owner,
            "iat": now,
            "exp": now + int(min(life, LONGEST_LIFE).total_seconds()),
            "jti": secrets.token_urlsafe(16),
            "scope": " ".join(sorted(scopes)),
        }
        return jwt.encode(claims, settings.secret, settings.algorithm, {"typ": "at+jwt"})

    def _key(self, header: dict[str, Any]) -> jwt.PyJWK | str:
        allowed = _PROVIDER_HEADER if self._keys else _HEADER
        if not header.keys() <= allowed or str(header.get("typ", "jwt")).lower() not in _TYPES:
            raise AuthInvalid
        if self._keys:
            return self._keys.find(header.get("kid"))
        if self._settings.secret is None:
            raise AuthInvalid
        return self._settings.secret


def _header(token: str) -> dict[str, Any]:
    segment = token.partition(".")[0]
    return _strict_object(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))


def _strict_object(data: bytes) -> dict[str, Any]:
    """Return a JSON object; ValueError for anything else, and for a name that comes twice."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name comes twice")
        return found

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    value = json.loads(data, object_pairs_hook=unique, parse_constant=refuse)
    if not isinstance(value, dict):
        raise ValueError("no object")
    return value


def _identity(claims: dict[str, Any]) -> Identity:
    """Return who claims speak of; ValueError where PyJWT takes what the RFC does not mean."""
    for name in ("exp", "iat", "nbf"):
        # PyJWT reads true as 1 and "123" as 123.
        if name in claims and type(claims[name]) not in (int, float):
            raise ValueError(f"{name} is no number")
    if claims["exp"] - claims["iat"] > LONGEST_LIFE.total_seconds():
        raise ValueError("good for too long")
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise ValueError("scope is no text")
    return Identity(
        owner=_name(claims["sub"]),
        # A provider's token may name scopes of other services too.
        scopes=frozenset(Scope(name) for name in scope.split() if name in set(Scope)),
        jti=_name(claims["jti"]),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
    )


def _name(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable() or value != value.strip():
        raise ValueError("no name")
    if not 0 < len(value) <= _LONGEST_NAME:
        raise ValueError("no name")
    return value
