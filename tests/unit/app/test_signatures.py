from __future__ import annotations

import hashlib
import hmac

from app.signatures import sign, signing_key

SECRET = "s" * 32


def test_a_signature_is_the_hmac_that_is_documented() -> None:
    key = signing_key(SECRET, "client")
    assert key == hmac.new(SECRET.encode(), b"client", hashlib.sha256).hexdigest()
    expected = hmac.new(key.encode(), b'1700000000.{"a": 1}', hashlib.sha256).hexdigest()
    assert sign(key, 1_700_000_000, b'{"a": 1}') == expected


def test_time_body_and_owner_are_signed() -> None:
    key = signing_key(SECRET, "client")
    others = {sign(key, 2, b"a"), sign(key, 1, b"b"), sign(signing_key(SECRET, "other"), 1, b"a")}
    assert len(others) == 3
    assert sign(key, 1, b"a") not in others
