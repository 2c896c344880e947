"""Tokens that nobody should have, beside one that is good."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

SECRET = "a secret of at least sixty-four characters, long enough for every HMAC"
KID = "first"


def encoded(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    good = {
        "iss": "emotion-clf",
        "aud": "emotion-clf",
        "sub": "alice",
        "iat": now,
        "exp": now + 600,
        "jti": "token-1",
        "scope": "jobs:read jobs:write",
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


@dataclass(frozen=True)
class Signer:
    """Signs as the installation's issuer does, whatever it is given to sign."""

    algorithm: str
    key: Any
    header: dict[str, Any]
    public: str
    """What everybody may know: the public key, or nothing."""

    @classmethod
    def shared(cls, secret: str = SECRET) -> Signer:
        return cls("HS256", secret, {"typ": "at+jwt"}, "")

    @classmethod
    def elliptic(cls) -> Signer:
        key = ec.generate_private_key(ec.SECP256R1())
        return cls("ES256", key, {"typ": "JWT", "kid": KID}, pem(key))

    @classmethod
    def of_rsa(cls) -> Signer:
        key = rsa.generate_private_key(65537, 2048)
        return cls("RS256", key, {"typ": "JWT", "kid": KID}, pem(key))

    def token(self, payload: Any = None, key: Any = None, **header: Any) -> str:
        """Return a token; a header of None is left out."""
        payload = claims() if payload is None else payload
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        head = {"alg": self.algorithm} | self.header | header
        head = {name: value for name, value in head.items() if value is not None}
        return self.signed(json.dumps(head).encode(), data, key)

    def signed(self, head: bytes, payload: bytes, key: Any = None) -> str:
        """Return a token of these very bytes; without a key of its own with the right one."""
        text = f"{encoded(head)}.{encoded(payload)}"
        method = jwt.get_algorithm_by_name(self.algorithm)
        signature = method.sign(text.encode(), method.prepare_key(key or self.key))
        return f"{text}.{encoded(signature)}"

    def key_set(self, path: Path) -> Path:
        """Write the public key as a JSON Web Key Set."""
        method = jwt.get_algorithm_by_name(self.algorithm)
        key = json.loads(method.to_jwk(self.key.public_key()))
        entry = key | {"kid": KID, "alg": self.algorithm, "use": "sig"}
        path.write_text(json.dumps({"keys": [entry]}))
        return path


def pem(key: Any) -> str:
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return public.decode()


def unsigned(algorithm: Any) -> Callable[[Signer], str]:
    def make(signer: Signer) -> str:
        head = {"alg": algorithm, "typ": "JWT"} if algorithm else {"typ": "JWT"}
        return f"{encoded(head)}.{encoded(claims())}."

    return make


def with_claims(**changes: Any) -> Callable[[Signer], str]:
    return lambda signer: signer.token(claims(**changes))


def with_header(**header: Any) -> Callable[[Signer], str]:
    return lambda signer: signer.token(**header)


def in_time(**offsets: float) -> Callable[[Signer], str]:
    """Return what makes a token whose times lie so many seconds from now."""
    return lambda signer: signer.token(
        claims(**{name: int(time.time() + offset) for name, offset in offsets.items()})
    )


def confused(signer: Signer) -> str:
    """Sign with HS256 and the public key as the secret; without one, with an empty secret."""
    text = f"{encoded({'alg': 'HS256', 'typ': 'JWT', **_kid(signer)})}.{encoded(claims())}"
    method = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return f"{text}.{encoded(method.sign(text.encode(), signer.public.encode()))}"


def _kid(signer: Signer) -> dict[str, str]:
    return {"kid": KID} if "kid" in signer.header else {}


def of_another(signer: Signer) -> str:
    """Sign with the right algorithm and a key that is not the installation's."""
    makers = {"HS256": lambda: Signer.shared("x" * 40), "ES256": Signer.elliptic}
    return makers.get(signer.algorithm, Signer.of_rsa)().token(**_kid(signer))


def of_another_algorithm(signer: Signer) -> str:
    other = Signer.elliptic() if signer.algorithm == "HS256" else Signer.shared()
    return other.token()


def of_a_sister_algorithm(signer: Signer) -> str:
    """Sign with the installation's own key, by an algorithm that it did not choose."""
    sisters = {"HS256": "HS512", "RS256": "PS256", "ES256": "HS256"}
    algorithm = sisters[signer.algorithm]
    key = signer.public.encode() if algorithm == "HS256" else signer.key
    header = {"alg": algorithm} | signer.header
    text = f"{encoded(header)}.{encoded(claims())}"
    method = jwt.get_algorithm_by_name(algorithm)
    prepared = key if algorithm == "HS256" else method.prepare_key(key)
    return f"{text}.{encoded(method.sign(text.encode(), prepared))}"


def with_own_key(signer: Signer) -> str:
    """Bring along, in the header, the key that the token is signed with."""
    other = Signer.elliptic()
    key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(other.key.public_key()))
    return other.token(jwk=key)


def twice(name: str, second: str) -> Callable[[Signer], str]:
    def make(signer: Signer) -> str:
        body = json.dumps(claims())[:-1] + f', "{name}": {second}}}'
        return signer.token(body.encode())

    return make


def with_header_twice(signer: Signer) -> str:
    head = json.dumps({"alg": "none"} | signer.header)[:-1] + f', "alg": "{signer.algorithm}"}}'
    return signer.signed(head.encode(), json.dumps(claims()).encode())


def altered(change: Callable[[list[str]], list[str]]) -> Callable[[Signer], str]:
    return lambda signer: ".".join(change(signer.token().split(".")))


def detached(signer: Signer) -> str:
    return signer.token(crit=["b64"], b64=False)


FORGERIES: dict[str, Callable[[Signer], str]] = {
    "no signature, alg none": unsigned("none"),
    "no signature, alg None": unsigned("None"),
    "no signature, alg nOnE": unsigned("nOnE"),
    "no signature, no alg": unsigned(None),
    "no signature, alg is a list": unsigned(["none", "HS256"]),
    "the public key as the secret": confused,
    "another key": of_another,
    "another algorithm": of_another_algorithm,
    "the right key by another algorithm": of_a_sister_algorithm,
    "alg of another length": with_header(alg="HS512"),
    "alg null": lambda s: s.signed(b'{"alg": null}', json.dumps(claims()).encode()),
    "issuer of another": with_claims(iss="somebody"),
    "issuer a list": with_claims(iss=["emotion-clf"]),
    "audience of another": with_claims(aud="other"),
    "audience a list of others": with_claims(aud=["other", "emotion-clf2"]),
    "audience an empty list": with_claims(aud=[]),
    "audience a list of lists": with_claims(aud=[["emotion-clf"]]),
    **{
        f"no {name}": with_claims(**{name: None})
        for name in ("exp", "iat", "iss", "aud", "sub", "jti")
    },
    "expired": in_time(exp=-60),
    "issued in the future": in_time(iat=300),
    "not valid yet": in_time(nbf=300),
    "good for two years": in_time(exp=2 * 366 * 86400),
    "exp text": lambda s: s.token(claims(exp=str(int(time.time()) + 600))),
    "exp true": with_claims(exp=True),
    "exp infinite": lambda s: s.token(json.dumps(claims(exp=float("inf"))).encode()),
    "exp 1e999": lambda s: s.token(_with_number("exp", "1e999")),
    "iat text": with_claims(iat="0"),
    "iat long before time": with_claims(iat=-(10**18)),
    "nbf text": with_claims(nbf="0"),
    "sub a number": with_claims(sub=1),
    "sub empty": with_claims(sub=""),
    "sub blank": with_claims(sub="  "),
    "sub with a NUL": with_claims(sub="alice\x00"),
    "sub half a surrogate pair": with_claims(sub="\ud800"),
    "sub turned around": with_claims(sub="\u202eecila"),
    "sub very long": with_claims(sub="a" * 300),
    "jti a number": with_claims(jti=7),
    "jti empty": with_claims(jti=""),
    "scope a list": with_claims(scope=["admin"]),
    "claims twice": twice("sub", '"bob"'),
    "scope twice": twice("scope", '"admin"'),
    "alg twice": with_header_twice,
    "claims a list": lambda s: s.token(b"[]"),
    "claims no JSON": lambda s: s.token(b"{"),
    "claims deep": lambda s: s.token(b'{"a":' + b"[" * 2000),
    "claims no UTF-8": lambda s: s.token(b'{"sub": "\xff"}'),
    "key of an unknown name": with_header(kid="second"),
    "key of a path": with_header(kid="../../dev/null"),
    "key name a number": with_header(kid=1),
    "key name a list": with_header(kid=[KID]),
    "key by address": with_header(jku="https://evil.example/keys"),
    "certificate by address": with_header(x5u="https://evil.example/cert"),
    "certificate brought along": with_header(x5c=["MIIB"]),
    "key brought along": with_own_key,
    "critical extension": with_header(crit=["exp"], exp=1),
    "b64 false": detached,
    "b64 false without crit": with_header(b64=False),
    "compressed": with_header(zip="DEF"),
    "type of another kind": with_header(typ="id+jwt"),
    "type a number": with_header(typ=5),
    "cut": lambda s: s.token()[:-4],
    "no third part": altered(lambda parts: parts[:2]),
    "five parts": altered(lambda parts: [*parts, parts[1], parts[2]]),
    "padded": lambda s: s.token() + "==",
    "header padded": altered(lambda parts: [parts[0] + "====", *parts[1:]]),
    "payload exchanged": altered(lambda parts: [parts[0], encoded(claims(sub="bob")), parts[2]]),
    "signature of zeros": altered(lambda parts: [*parts[:2], encoded(b"\x00" * 64)]),
    "signature empty": altered(lambda parts: [*parts[:2], ""]),
    "not a token": lambda s: "token",
    "dots": lambda s: "..",
    "other letters": lambda s: "\u00e4" + s.token()[1:],
    "huge": with_claims(extra="x" * 8192),
    "nothing": lambda s: "",
}


def _with_number(name: str, number: str) -> bytes:
    return (json.dumps(claims(**{name: None}))[:-1] + f', "{name}": {number}}}').encode()


def forged(signer: Signer) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of every forged token."""
    for name, make in FORGERIES.items():
        yield name, make(signer)
