"""Object stores for tests: S3 by moto, Azure's Blob storage by Azurite, and their bad days."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Literal

import fsspec
import pytest
import requests

from emotion_clf.local.servers import free_port

BUCKET = "recordings"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_DEFAULT_REGION": "us-east-1",
}
_AZURITE = Path(__file__).parents[1] / ".azurite" / "node_modules" / ".bin" / "azurite-blob"
_AZURITE_KEY = (  # the one that everybody knows
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)


class S3:
    """A server that speaks S3, in a process of its own."""

    def __init__(self, address: str) -> None:
        import boto3  # which most tests need not wait for

        self.address = address
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=address,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=CREDENTIALS["AWS_DEFAULT_REGION"],
        )

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to reach it."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.address}

    def objects(self, prefix: str) -> list[str]:
        """Return the names of the objects that start so, as the store itself tells them."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return sorted(entry["Key"] for page in pages for entry in page.get("Contents", []))

    def unfinished(self) -> list[str]:
        """Return the objects whose parts were stored and never put together."""
        found = self.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return [upload["Key"] for upload in found]

    @contextmanager
    def strangers_are_refused(self) -> Iterator[None]:
        """Check credentials meanwhile; moto knows none, so all are wrong."""
        requests.post(f"{self.address}/moto-api/reset-auth", data="0", timeout=5)
        try:
            yield
        finally:
            requests.post(f"{self.address}/moto-api/reset-auth", data="inf", timeout=5)


@contextmanager
def s3_server(directory: Path) -> Iterator[S3]:
    """Run moto's server, with an empty bucket."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with _running(command, port, directory / "moto.log"):
        server = S3(f"http://127.0.0.1:{port}")
        server.client.create_bucket(Bucket=BUCKET)
        yield server


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """An S3 server of the session's own."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def weather(s3: S3) -> Iterator[Weather]:
    """The way to that server, on which things go wrong."""
    weather = Weather(s3)
    yield weather
    weather.close()


@pytest.fixture
def stormy_url(weather: Weather, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address behind the weather; a request there is asked twice and not four times."""
    for name, value in weather.environment.items():
        monkeypatch.setenv(name, value)
    once = {"config_kwargs": {"retries": {"total_max_attempts": 1}}}
    monkeypatch.setitem(fsspec.config.conf, "s3", once)
    return f"s3://{BUCKET}/{uuid.uuid4().hex}"


def azurite() -> str | None:
    """Return the command of Azure's emulator, if it is installed: ``make azurite``."""
    return str(_AZURITE) if _AZURITE.exists() else shutil.which("azurite-blob")


@contextmanager
def azure_server(directory: Path) -> Iterator[dict[str, str]]:
    """Run Azurite, with an empty container; yield the environment that reaches it."""
    port = free_port()
    options = ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--inMemoryPersistence"]
    command = [azurite() or "", "--blobPort", str(port), *options]
    account = "devstoreaccount1"
    connection = {
        "DefaultEndpointsProtocol": "http",
        "AccountName": account,
        "AccountKey": _AZURITE_KEY,
        "BlobEndpoint": f"http://127.0.0.1:{port}/{account}",
    }
    address = ";".join(f"{name}={value}" for name, value in connection.items())
    with _running(command, port, directory / "azurite.log"):
        from azure.storage.blob import BlobServiceClient

        BlobServiceClient.from_connection_string(address).create_container(BUCKET)
        yield {"AZURE_STORAGE_CONNECTION_STRING": address}


@contextmanager
def _running(command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as sink:
        child = subprocess.Popen(command, stdout=sink, stderr=sink, cwd=log.parent, env=os.environ)
    try:
        for _ in range(200):
            try:
                http.client.HTTPConnection("127.0.0.1", port, timeout=5).connect()
                break
            except OSError:
                assert child.poll() is None, log.read_text()
                time.sleep(0.1)
        yield
    finally:
        child.kill()
        child.wait()


Day = Literal["good", "slow down", "down", "silent", "no parts", "no removal"]


class Weather:
    """Stands before an S3 server and has the days that AWS has."""

    def __init__(self, server: S3) -> None:
        self.day: Day = "good"
        self.asked = 0
        self._host = server.address.removeprefix("http://")
        weather = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline:
                    self.close_connection = True
                elif self.parse_request():
                    weather.answer(self)
                    self.wfile.flush()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, daemon=True).start()
        self.environment = {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._server.server_port}",
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked += 1
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        if self.day == "silent":
            time.sleep(1.5)
        if self._rains_on(request):
            code, status = ("SlowDown", 503) if self.day == "slow down" else ("InternalError", 500)
            message = f"<Error><Code>{code}</Code><Message>Please wait.</Message></Error>"
            self._send(request, status, {"Content-Type": "application/xml"}, message.encode())
            return
        onward = http.client.HTTPConnection(self._host, timeout=20)
        onward.request(request.command, request.path, body, dict(request.headers))
        answer = onward.getresponse()
        self._send(request, answer.status, dict(answer.getheaders()), answer.read())

    def _rains_on(self, request: BaseHTTPRequestHandler) -> bool:
        if self.day == "no parts":
            return "partNumber=2" in request.path
        if self.day == "no removal":
            return request.command == "DELETE"
        return self.day != "good"

    def _send(
        self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes
    ) -> None:
        request.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                request.send_header(name, value)
        length = headers.get("Content-Length") if request.command == "HEAD" else None
        request.send_header("Content-Length", length or str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)
