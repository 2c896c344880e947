"""The public keys of an identity provider (JWKS, RFC 7517), from a file or over https."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import jwt
import structlog

from app.errors import AuthInvalid, KeysUnavailable
from app.settings.sections import AuthSettings
from ml.errors import SettingInvalid

FRESH_SECONDS = 300.0
"""Keys are asked for again when they are older."""
USABLE_SECONDS = 3600.0
"""A provider that does not answer leaves its keys good for this long."""
PAUSE_SECONDS = 30.0
"""Between two attempts, so that tokens with invented keys cannot make it ask all the time."""
_TIMEOUT_SECONDS = 5.0

log = structlog.get_logger(__name__)


class ProviderKeys:
    """The keys that tokens may be signed with, kept and asked for again in time.

    :class:`jwt.PyJWKClient` fetches them. Its own cache is not used: while a provider does not
    answer, it would ask for every single request and forget the keys that it had.
    """

    def __init__(self, settings: AuthSettings) -> None:
        self._source = settings.jwks or ""
        self._algorithm = settings.algorithm
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = self._attempted = -float("inf")
        scheme = urlsplit(self._source).scheme
        self._client = (
            jwt.PyJWKClient(self._source, cache_jwk_set=False, timeout=_TIMEOUT_SECONDS)
            if scheme == "https"
            else None
        )
        if scheme == "http":
            raise SettingInvalid("auth.jwks is an http address; allowed: a file, or https://….")
        if not self._client:
            self._read_at_start()

    def find(self, kid: object) -> jwt.PyJWK:
        """Return the key of this name.

        Raises:
            AuthInvalid: the provider has no such key.
            KeysUnavailable: no keys are known, and the provider does not answer.

        """
        if not isinstance(kid, str):
            raise AuthInvalid
        if kid not in self._keys or time.monotonic() - self._fetched > FRESH_SECONDS:
            self._refresh()
        if time.monotonic() - self._fetched > USABLE_SECONDS:
            raise KeysUnavailable
        key = self._keys.get(kid)
        if key is None:
            raise AuthInvalid
        return key

    def _refresh(self) -> None:
        """Ask for the keys, unless that was just done.

        Where another thread does it, wait for that only if there are none to go on with.
        """
        if not self._lock.acquire(blocking=not self._keys):
            return
        try:
            if time.monotonic() - self._attempted <= PAUSE_SECONDS:
                return
            self._attempted = time.monotonic()
            self._keys = self._read()
            self._fetched = time.monotonic()
        except (jwt.PyJWTError, OSError, ValueError) as error:
            log.warning("keys_unavailable", error=type(error).__name__)
        finally:
            self._lock.release()

    def _read_at_start(self) -> None:
        try:
            self._keys = self._read()
        except (jwt.PyJWTError, OSError, ValueError) as error:
            raise SettingInvalid(
                f"auth.jwks is {self._source!r}, which holds no key for {self._algorithm}; "
                "allowed: a file with a JSON Web Key Set."
            ) from error
        self._fetched = self._attempted = time.monotonic()

    def _read(self) -> dict[str, jwt.PyJWK]:
        """Return the keys that are for signatures by the one algorithm, by their names."""
        if self._client:
            found = self._client.get_jwk_set()
        else:
            document = json.loads(Path(self._source).read_bytes())
            found = jwt.PyJWKSet.from_dict(document if isinstance(document, dict) else {})
        keys = {
            key.key_id: key
            for key in found.keys
            if key.key_id
            and key.algorithm_name == self._algorithm
            and key.public_key_use in (None, "sig")
        }
        if not keys:
            raise ValueError("no key for this algorithm")
        return keys
