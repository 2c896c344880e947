"""Requests that lie about themselves, drip, or are never finished, at the real server."""

from __future__ import annotations

import itertools
import json
import select
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests
from api_process import answer, connect, exchange, serving, started

from app.api.channel import Bounds

FORM = b"Content-Type: multipart/form-data; boundary=cut\r\n"
PART = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n'
END = b"\r\n--cut--\r\n"
IMPATIENT = Bounds(
    plain_bytes=300_000,
    arriving_bytes=3_000_000,
    header_seconds=0.5,
    grace_seconds=0.5,
    slowest=100_000,
    unread_seconds=0.5,
)


def head(*fields: bytes, path: bytes = b"/jobs") -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (path, b"".join(fields))


def length(size: int) -> bytes:
    return b"Content-Length: %d\r\n" % size


def form(content: bytes, name: bytes = b"a.wav") -> bytes:
    return PART % name + content + END


def code_of(body: bytes) -> str:
    return json.loads(body)["code"]


@pytest.fixture
def scratch(tmp_path, monkeypatch) -> Path:
    """The directory in which the server puts temporary files."""
    directory = tmp_path / "scratch"
    directory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(directory))
    return directory


@pytest.fixture
def address(settings, scratch):
    source = settings.source.__class__(max_bytes=2_000_000, max_characters=20_000)
    large = settings.model_copy(update={"source": source})
    with serving(large, bounds=IMPATIENT) as address:
        yield address


@pytest.fixture
def nothing_is_left(services, scratch, tmp_path):
    yield
    assert services.jobs.list("local", None, None, 1).jobs == ()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.usefixtures("nothing_is_left")
class TestLies:
    def test_a_body_shorter_than_its_length_never_becomes_a_job(self, address):
        body = form(b"x" * 1000)
        with connect(address) as connection:
            connection.sendall(head(FORM, length(len(body) + 500)) + body)
            reply, problem = answer(connection)
        assert reply.startswith(b"HTTP/1.1 408")
        assert code_of(problem) == "request.timeout"

    def test_a_body_that_is_cut_off_leaves_nothing(self, address):
        with connect(address) as connection:
            connection.sendall(head(FORM, length(900_000)) + PART % b"a" + b"x" * 800_000)

    def test_a_body_longer_than_its_length_is_cut_there(self, address):
        body = form(b"x" * 1000)
        reply, problem = exchange(address, head(FORM, length(len(body) - 600)) + body)
        assert reply.startswith(b"HTTP/1.1 422")
        assert code_of(problem) == "request.invalid"

    def test_two_ways_to_tell_the_length_are_refused(self, address):
        chunked = b"Transfer-Encoding: chunked\r\n"
        for fields in [(length(5), chunked), (length(5), length(6)), (b"Content-Length: -1\r\n",)]:
            reply, problem = exchange(address, head(FORM, *fields) + b"0\r\n\r\n")
            assert reply.startswith(b"HTTP/1.1 400"), fields
            assert code_of(problem) == "request.malformed"

    def test_a_chunk_that_is_none_is_refused(self, address):
        request = head(FORM, b"Transfer-Encoding: chunked\r\n") + b"zz\r\n"
        reply, problem = exchange(address, request)
        assert (reply[:12], code_of(problem)) == (b"HTTP/1.1 400", "request.malformed")

    def test_no_length_at_all_is_no_body(self, address):
        reply, _ = exchange(address, head(FORM))
        assert reply.startswith(b"HTTP/1.1 422")

    @pytest.mark.parametrize("chunked", [False, True])
    @pytest.mark.parametrize("path", [b"/predict", b"/jobs", b"/auth/token", b"/batches"])
    def test_only_uploads_may_be_large(self, address, path, chunked):
        body = b'{"text": "' + b"x" * 1_000_000 + b'"}'
        fields = length(len(body))
        if chunked:
            fields = b"Transfer-Encoding: chunked\r\n"
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        request = head(b"Content-Type: application/json\r\n", fields, path=path) + body
        with connect(address) as connection:
            try:
                connection.sendall(request)
            except ConnectionError:
                return  # refused before it was sent
            try:
                reply, problem = answer(connection)
            except ConnectionResetError:
                return
        assert (reply[:12], code_of(problem)) == (b"HTTP/1.1 413", "request.too_large")

    def test_more_than_there_is_space_for_is_refused(self, address):
        """Two uploads fit the limit of one upload each, not the limit of both."""
        half = head(FORM, length(1_900_000)) + PART % b"a" + b"x" * 1_700_000
        with connect(address) as one, connect(address) as other:
            try:
                for connection in (one, other):
                    connection.sendall(half)
                (refused, *_), _, _ = select.select([one, other], [], [], 20)
                reply, problem = answer(refused)
            except ConnectionError:
                return  # closed with unread bytes, which takes the answer with it
        assert (reply[:12], code_of(problem)) == (b"HTTP/1.1 503", "service.busy")
        assert b"Retry-After" in reply

    @pytest.mark.parametrize("size", [300_000, 1_000_000])
    def test_a_field_may_not_grow_as_large_as_a_recording(self, address, size):
        field = b'--cut\r\nContent-Disposition: form-data; name="options"\r\n\r\n'
        body = field + b" " * size + END
        reply, problem = exchange(address, head(FORM, length(len(body))) + body)
        assert (reply[:12], code_of(problem)) == (b"HTTP/1.1 413", "request.too_large")


class TestSlowness:
    @pytest.mark.parametrize("start", [b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nX-A: "])
    def test_a_header_that_drips_is_given_up(self, address, start):
        with connect(address) as connection:
            self._drip(connection, start)
            reply, problem = answer(connection)
        assert reply.split(b" ")[1] == b"408"
        assert code_of(problem) == "request.timeout"

    def test_a_body_that_drips_is_given_up(self, address):
        with connect(address) as connection:
            self._drip(connection, head(FORM, length(1_000_000)) + PART % b"a")
            reply, problem = answer(connection)
        assert reply.split(b" ")[1] == b"408"
        assert code_of(problem) == "request.timeout"

    def test_an_answer_that_nobody_takes_is_dropped(self, settings):
        """Were it kept, the only thread would wait for ever to write the rest of it."""

        def endless(environ, start_response):
            start_response("200 OK", [])
            return itertools.repeat(b"x" * 1_000_000) if environ["PATH_INFO"] == "/all" else [b"!"]

        one = settings.api.model_copy(update={"threads": 1})
        impatient = settings.model_copy(update={"api": one})
        with serving(impatient, endless, IMPATIENT) as address, connect(address) as connection:
            connection.sendall(b"GET /all HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(1) == b"H"
            assert requests.get(f"{address}/one", timeout=20).text == "!"

    def test_a_slow_upload_that_moves_on_is_taken(self, settings, scratch):
        bounds = Bounds(300_000, 3_000_000, grace_seconds=0.2, slowest=10_000)
        body = form(b"x" * 60_000)
        with serving(settings, bounds=bounds) as address, connect(address) as connection:
            request = head(FORM, length(len(body)), b"Connection: close\r\n") + body
            for start in range(0, len(request), 10_000):
                connection.sendall(request[start : start + 10_000])
                time.sleep(0.2)
            reply, _ = answer(connection)
        assert reply.startswith(b"HTTP/1.1 202")

    def test_uploads_that_arrive_hold_no_thread(self, settings):
        two = settings.api.model_copy(update={"threads": 2})
        with serving(settings.model_copy(update={"api": two})) as address, ExitStack() as held:
            for _ in range(6):
                connection = held.enter_context(connect(address))
                connection.sendall(head(FORM, length(50_000)) + PART % b"a")
            assert requests.get(f"{address}/health", timeout=5).ok

    def _drip(self, connection: socket.socket, start: bytes) -> None:
        """Send a little now and then until the server has had enough."""
        connection.sendall(start)
        connection.settimeout(0.1)
        for _ in range(100):
            try:
                assert connection.recv(1, socket.MSG_PEEK)
                break
            except TimeoutError:
                connection.sendall(b"a")
        else:
            pytest.fail("the server waits for ever")
        connection.settimeout(20)


def test_the_name_that_a_client_gives_is_used_nowhere(address, services, tmp_path):
    name = b"../../../tmp/evil\\..\\x.wav"
    body = form(b"RIFF", name)
    reply, _ = exchange(address, head(FORM, length(len(body))) + body)
    assert reply.startswith(b"HTTP/1.1 202")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [len(path.name) for path in files] == [32]
    assert b"Server:" not in reply


def test_killed_amid_uploads_it_leaves_nothing_behind(database, redis_url, tmp_path):
    """Neither of the body on its way nor of the copy that is being made of it."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with (
        started(database, redis_url, tmp_path, TMPDIR=str(scratch)) as (child, address),
        connect(address) as connection,
    ):
        connection.sendall(head(FORM, length(990_000)) + PART % b"a" + b"x" * 900_000)
        _until(lambda: _open_temporary_files(child.pid, scratch))
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert not list(scratch.iterdir())


def _open_temporary_files(pid: int, scratch: Path) -> list[str]:
    links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    return [link for link in links if link.startswith(str(scratch))]


def _until(holds) -> None:
    for _ in range(200):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail("it never came true")
