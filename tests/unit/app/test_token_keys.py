"""The keys of an identity provider, from files and from a real https server."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app import token_keys
from app.errors import AuthInvalid, KeysUnavailable
from app.settings.sections import AuthSettings
from app.token_keys import ProviderKeys
from ml.errors import SettingInvalid


def entry(kid: str, **changes: str) -> dict[str, str]:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key)) | {"kid": kid} | changes


def settings(source: object) -> AuthSettings:
    return AuthSettings(algorithm="ES256", jwks=str(source))


class Provider:
    """An https server that gives keys, and counts how often it is asked."""

    def __init__(self, directory: Path) -> None:
        self.keys: list[dict[str, str]] = []
        self.status = 200
        self.asked = 0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.asked += 1
                self.send_response(provider.status)
                self.end_headers()
                self.wfile.write(json.dumps({"keys": provider.keys}).encode())

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self.certificate = directory / "certificate.pem"
        key = certify(self.certificate, directory / "key.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"https://127.0.0.1:{self._server.server_port}/keys"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def certify(certificate: Path, key_file: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return key_file


@pytest.fixture
def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    started = Provider(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(started.certificate))
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield started
    started.stop()


def test_keys_are_found_by_their_names(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [entry("first"), entry("second")]}))
    keys = ProviderKeys(settings(file))
    assert keys.find("second").key_id == "second"
    for name in ("third", "", None, 1, ["first"]):
        with pytest.raises(AuthInvalid):
            keys.find(name)


def test_only_keys_for_signatures_by_the_one_algorithm_count(tmp_path: Path) -> None:
    rsa_key = rsa.generate_private_key(65537, 2048).public_key()
    others = [
        json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key)) | {"kid": "rsa"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256"},
        entry("for encryption", use="enc"),
        entry(""),
    ]
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [*others, entry("good")]}))
    keys = ProviderKeys(settings(file))
    for name in ("rsa", "shared", "for encryption", ""):
        with pytest.raises(AuthInvalid):
            keys.find(name)
    assert keys.find("good").algorithm_name == "ES256"


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"keys": []}', '{"keys": [{}]}'])
def test_a_file_without_keys_stops_the_start(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "keys.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingInvalid, match=r"auth\.jwks"):
        ProviderKeys(settings(file))


def test_keys_are_not_fetched_in_the_clear() -> None:
    with pytest.raises(SettingInvalid, match="https"):
        ProviderKeys(settings("http://127.0.0.1/keys"))


def test_an_unknown_key_is_asked_for_once_in_a_while(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.keys = [entry("first")]
    keys = ProviderKeys(settings(provider.address))
    assert keys.find("first").key_id == "first"
    provider.keys.append(entry("second"))
    for _ in range(20):
        with pytest.raises(AuthInvalid):
            keys.find("second")
    assert provider.asked == 1
    monkeypatch.setattr(token_keys, "PAUSE_SECONDS", 0.0)
    assert keys.find("second").key_id == "second"
    assert provider.asked == 2


def test_a_key_that_the_provider_withdrew_is_refused(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.keys = [entry("first"), entry("second")]
    keys = ProviderKeys(settings(provider.address))
    keys.find("first")
    del provider.keys[0]
    monkeypatch.setattr(token_keys, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(token_keys, "PAUSE_SECONDS", 0.0)
    with pytest.raises(AuthInvalid):
        keys.find("first")
    assert keys.find("second").key_id == "second"


def test_a_provider_that_fails_leaves_its_keys_good_for_a_while(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.keys = [entry("first")]
    keys = ProviderKeys(settings(provider.address))
    keys.find("first")
    provider.status = 500
    monkeypatch.setattr(token_keys, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(token_keys, "PAUSE_SECONDS", 0.0)
    assert keys.find("first").key_id == "first"
    assert provider.asked == 2
    monkeypatch.setattr(token_keys, "USABLE_SECONDS", 0.0)
    with pytest.raises(KeysUnavailable):
        keys.find("first")


def test_a_provider_that_was_never_reached_is_not_asked_for_every_token(
    provider: Provider,
) -> None:
    provider.status = 500
    keys = ProviderKeys(settings(provider.address))
    for _ in range(20):
        with pytest.raises(KeysUnavailable):
            keys.find("first")
    assert provider.asked == 1


def test_a_provider_that_nobody_vouches_for_is_not_believed(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    provider.keys = [entry("first")]
    with pytest.raises(KeysUnavailable):
        ProviderKeys(settings(provider.address)).find("first")
    assert provider.asked == 0
