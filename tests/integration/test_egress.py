"""The egress proxy as a process, asked over real connections."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from egress import ROOT, Egress, running
from media import Answer, MediaServer

from ml.errors import SourceForbiddenAddress, SourceUnreachable
from ml.source.route import ProxyRoute

FORBIDDEN = (
    b"HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\ncontent-length: 10\r\n"
    b"proxy-status: emotion-clf; error=http_request_denied\r\nconnection: close\r\n\r\nForbidden\n"
)
BAD_GATEWAY = (
    b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/plain\r\ncontent-length: 12\r\n"
    b"connection: close\r\n\r\nBad Gateway\n"
)
END = b"\r\n\r\n"


class RawServer:
    """Listens on the public 127.0.0.2, keeps what it is sent, and answers with given bytes."""

    def __init__(self, answer: bytes) -> None:
        self.heard: list[bytes] = []
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.2", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.heard.append(read_head(connection))
                connection.sendall(self._answer)

    def close(self) -> None:
        self._listener.close()


RawServers = Callable[[bytes], RawServer]


@pytest.fixture
def raw_server() -> Iterator[RawServers]:
    servers: list[RawServer] = []

    def make(answer: bytes) -> RawServer:
        servers.append(RawServer(answer))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def outside() -> Iterator[MediaServer]:
    server = MediaServer("127.0.0.2")
    yield server
    server.stop()


def read_head(connection: socket.socket) -> bytes:
    head = b""
    while END not in head and (data := connection.recv(65_536)):
        head += data
    return head


def connect(proxy: Egress) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=20)


def ask(proxy: Egress, request: str | bytes) -> bytes:
    """Send a request and return everything that comes until the proxy closes."""
    with connect(proxy) as connection:
        connection.sendall(request if isinstance(request, bytes) else request.encode("latin-1"))
        answer = b""
        while data := connection.recv(65_536):
            answer += data
    return answer


def get(url: str, *headers: str) -> str:
    return "\r\n".join([f"GET {url} HTTP/1.1", "Host: x", *headers, "", ""])


def test_a_plain_request_is_passed_on(egress: Egress, outside: MediaServer) -> None:
    body = os.urandom(300_000)
    url = outside.put("/a.mp3?secret=1", Answer(body, "audio/mpeg"))
    head, _, got = ask(egress, get(url)).partition(END)
    assert head.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"content-type: audio/mpeg" in head
    assert got == body


def test_a_tunnel_carries_bytes_both_ways(egress: Egress, outside: MediaServer) -> None:
    body = os.urandom(300_000)
    outside.put("/a", Answer(body))
    route = ProxyRoute.locate(egress.url)
    with closing(route.dial("outside.test", outside.port, 20)) as connection:
        connection.sendall(b"GET /a HTTP/1.0\r\n\r\n")
        with connection.makefile("rb") as file:
            assert file.read().endswith(body)


def test_a_side_that_has_said_all_still_hears_the_other(egress: Egress) -> None:
    with socket.create_server(("127.0.0.2", 0)) as listener:
        target = ("127.0.0.2", listener.getsockname()[1])
        with closing(ProxyRoute.locate(egress.url).dial(*target, 20)) as client:
            server, _ = listener.accept()
            with server:
                client.sendall(b"question")
                client.shutdown(socket.SHUT_WR)
                assert server.makefile("rb").read() == b"question"
                server.sendall(b"answer")
                server.shutdown(socket.SHUT_WR)
                assert client.makefile("rb").read() == b"answer"


def test_what_is_for_one_hop_is_not_passed_on(egress: Egress, raw_server: RawServers) -> None:
    server = raw_server(
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n"
        b"Proxy-Authenticate: Basic\r\nProxy-Status: x; error=http_request_denied\r\n"
        b"Upgrade: h2c\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nhi"
    )
    url = f"http://127.0.0.2:{server.port}//path?q=1#fragment"
    answer = ask(
        egress,
        get(
            url, "Connection: x-mine, close", "X-Mine: 1", "TE: trailers", "Upgrade: websocket",
            "Proxy-Authorization: Basic eA==", "Proxy-Connection: keep-alive", "Expect: x",
            "X-Kept: 1", "Content-Length: 0",
        ),
    )  # fmt: skip
    assert server.heard == [
        f"GET //path?q=1 HTTP/1.1\r\nhost: 127.0.0.2:{server.port}\r\nx-kept: 1\r\n"
        "connection: close\r\n\r\n".encode()
    ]
    assert answer == (
        b"HTTP/1.1 200 OK\r\nx-kept: 1\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"
    )


REFUSED = {
    "a private address": get("http://127.0.0.1/"),
    "a private address, any port": get("http://127.0.0.1:{port}/"),
    "a private name": get("http://inside.test:{port}/"),
    "a name of both kinds": get("http://mixed.test:{port}/"),
    "a name that does not resolve": get("http://nowhere.test/"),
    "a name that is none": get("http://a..b/"),
    "an odd spelling of a public address": get("http://134744072/"),
    "a public address at another port": "CONNECT 8.8.8.8:22 HTTP/1.1\r\n\r\n",
    "a tunnel inside": "CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n",
    "a tunnel to an IPv6 address": "CONNECT [::1]:443 HTTP/1.1\r\n\r\n",
    "a tunnel to a mapped address": "CONNECT [::ffff:127.0.0.1]:443 HTTP/1.1\r\n\r\n",
    "a tunnel by NAT64": "CONNECT [64:ff9b::7f00:1]:443 HTTP/1.1\r\n\r\n",
    "brackets around a name": "CONNECT [localhost]:443 HTTP/1.1\r\n\r\n",
    "a zone": "CONNECT [fe80::1%25lo]:443 HTTP/1.1\r\n\r\n",
    "a tunnel without a port": "CONNECT outside.test HTTP/1.1\r\n\r\n",
    "a tunnel to port 0": "CONNECT outside.test:0 HTTP/1.1\r\n\r\n",
    "a tunnel beyond the ports": "CONNECT outside.test:99999 HTTP/1.1\r\n\r\n",
    "a tunnel with credentials": "CONNECT a@outside.test:80 HTTP/1.1\r\n\r\n",
    "credentials": get("http://a:b@outside.test:{port}/"),
    "https without a tunnel": get("https://outside.test:{port}/"),
    "another scheme": get("ftp://outside.test:{port}/"),
    "no scheme": get("/etc/passwd"),
    "another method": "POST http://outside.test:{port}/ HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "another version": "GET http://outside.test:{port}/ HTTP/2.0\r\n\r\n",
    "a body": get("http://outside.test:{port}/", "Content-Length: 1") + "x",
    "two lengths": get("http://outside.test:{port}/", "Content-Length: 0", "Content-Length: 0"),
    "a length and chunks": get(
        "http://outside.test:{port}/", "Content-Length: 0", "Transfer-Encoding: chunked"
    ),
    "chunks": get("http://outside.test:{port}/", "Transfer-Encoding: chunked"),
    "a folded header": get("http://outside.test:{port}/", "A: 1", " folded: 2"),
    "a blank before the colon": get("http://outside.test:{port}/", "A : 1"),
    "a bare line feed": get("http://outside.test:{port}/", "A: 1\nHost: inside.test"),
    "a null": get("http://outside.test:{port}/", "A: \0"),
    "letters beyond ASCII": get("http://outside.test:{port}/\u00e9"),
    "words": "hello there\r\n\r\n",
    "TLS": "\x16\x03\x01\x02\r\n\r\n",
    "many headers": get("http://outside.test:{port}/", *(f"A{n}: 1" for n in range(101))),
}


@pytest.mark.parametrize("name", REFUSED)
def test_whatever_is_refused_is_refused_in_the_same_words(
    egress: Egress, outside: MediaServer, other_server: MediaServer, name: str
) -> None:
    port = outside.port if "outside" in REFUSED[name] else other_server.port
    assert ask(egress, REFUSED[name].replace("{port}", str(port))) == FORBIDDEN
    assert outside.connections == other_server.connections == 0


def test_a_head_without_an_end_is_refused(egress: Egress) -> None:
    request = b"GET http://outside.test/ HTTP/1.1\r\nA: " + b"a" * 70_000
    assert ask(egress, request) == FORBIDDEN


BROKEN = {
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nA: 1\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi",
    "a length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked"
    b"\r\n\r\n0\r\n\r\n",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "hints for ever": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 9,
    "a bare line feed": b"HTTP/1.1 200 OK\r\nA: 1\nB: 2\r\n\r\n",
    "a long head": b"HTTP/1.1 200 OK\r\nA: " + b"a" * 70_000,
}


@pytest.mark.parametrize("name", BROKEN)
def test_whatever_goes_wrong_outside_is_told_in_the_same_words(
    egress: Egress, raw_server: RawServers, name: str
) -> None:
    server = raw_server(BROKEN[name])
    assert ask(egress, get(f"http://127.0.0.2:{server.port}/")) == BAD_GATEWAY


def test_who_does_not_answer_is_told_in_the_same_words_too(egress: Egress) -> None:
    assert ask(egress, get("http://127.0.0.2:1/")) == BAD_GATEWAY
    assert ask(egress, "CONNECT 127.0.0.2:1 HTTP/1.1\r\n\r\n") == BAD_GATEWAY


def test_a_name_is_looked_up_once_and_what_was_judged_is_dialled(outside: MediaServer) -> None:
    inside = MediaServer("127.0.0.1", outside.port)
    with running() as proxy:
        answers = [ask(proxy, get(f"http://rebind.test:{outside.port}/")) for _ in range(4)]
    inside.stop()
    assert [answer == FORBIDDEN for answer in answers] == [False, True, False, True]
    assert outside.connections == 2
    assert inside.connections == 0


def test_the_errors_of_the_way_through_the_proxy(egress: Egress, other_server: MediaServer) -> None:
    route = ProxyRoute.locate(egress.url)
    with pytest.raises(SourceForbiddenAddress):
        route.dial("127.0.0.1", other_server.port, 20)
    with pytest.raises(SourceUnreachable):
        route.dial("127.0.0.2", 1, 20)
    with pytest.raises(SourceUnreachable):
        ProxyRoute("127.0.0.1", 1).dial("outside.test", 80, 20)
    with pytest.raises(SourceUnreachable):
        ProxyRoute.locate("http://nowhere.invalid:3128")
    assert other_server.connections == 0


def test_as_many_connections_as_there_may_be_and_no_more(outside: MediaServer) -> None:
    url = outside.put("/", Answer(b"hi"))
    with running(egress__connections="2") as proxy:
        held = [ProxyRoute.locate(proxy.url).dial("127.0.0.2", outside.port, 20) for _ in "ab"]
        assert ask(proxy, b"").startswith(b"HTTP/1.1 503 ")
        for connection in held:
            connection.close()
        while b" 503 " in (answer := ask(proxy, get(url))):
            pass
        assert answer.endswith(b"hi")


def test_a_connection_over_which_nothing_comes_is_closed() -> None:
    with running(egress__idle_seconds="0.3") as proxy, socket.create_server(("127.0.0.2", 0)) as s:
        with closing(ProxyRoute.locate(proxy.url).dial(*s.getsockname(), 20)) as tunnel:
            assert tunnel.recv(1) == b""
        assert ask(proxy, get(f"http://127.0.0.2:{s.getsockname()[1]}/")) == BAD_GATEWAY


def test_an_upstream_is_asked_for_addresses_that_were_checked(
    raw_server: RawServers, other_server: MediaServer
) -> None:
    upstream = raw_server(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhi")
    with running(egress__upstream=f"http://me:p%40ss@127.0.0.2:{upstream.port}") as proxy:
        answer = ask(proxy, get("http://outside.test:8080/"))
        assert ask(proxy, get(f"http://inside.test:{other_server.port}/")) == FORBIDDEN
    assert answer.endswith(b"hi")
    assert upstream.heard == [
        b"CONNECT 127.0.0.2:8080 HTTP/1.1\r\nHost: 127.0.0.2:8080\r\n"
        b"Proxy-Authorization: Basic bWU6cEBzcw==\r\n\r\n"
    ]


def test_one_proxy_behind_another(egress: Egress, outside: MediaServer) -> None:
    url = outside.put("/", Answer(b"hi"))
    with running(egress__upstream=egress.url) as proxy:
        assert ask(proxy, get(url)).endswith(b"hi")
        assert ask(proxy, get("http://127.0.0.2:1/")) == BAD_GATEWAY


def test_the_log_has_one_line_a_connection_and_no_path(outside: MediaServer) -> None:
    url = outside.put("/my-talk.mp3?token=secret", Answer(b"x" * 1000))
    with running() as proxy:
        ask(proxy, get(url, "Cookie: secret"))
        ask(proxy, get("http://127.0.0.1/my-talk?token=secret"))
        ask(proxy, "CONNECT 127.0.0.2:1 HTTP/1.1\r\n\r\n")
        lines = proxy.stop()
    *connections, stopped = lines
    shown = ("host", "port", "verdict", "reason", "received")
    assert [[line[name] for name in shown] for line in connections] == [
        ["127.0.0.2", outside.port, "served", None, 1000],
        ["127.0.0.1", 80, "refused", "target", 0],
        ["127.0.0.2", 1, "failed", "unreachable", 0],
    ]
    assert all(line["event"] == "egress.connection" and line["ms"] >= 0 for line in connections)
    assert stopped["event"] == "egress.stopped"
    assert "secret" not in json.dumps(lines)
    assert "my-talk" not in json.dumps(lines)


def test_a_proxy_that_is_told_to_stop_lets_a_download_end(outside: MediaServer) -> None:
    url = outside.put("/", Answer(b"hi", pause=0.5))
    with running() as proxy, connect(proxy) as connection:
        connection.sendall(get(url).encode())
        while not outside.connections:
            pass
        proxy.stop()
        assert read_head(connection).endswith(b"hi")


def test_a_proxy_that_cannot_start_says_why(other_server: MediaServer) -> None:
    def start(**settings: str) -> tuple[int, str]:
        environment = {f"EMOTION_CLF_EGRESS__{name}": value for name, value in settings.items()}
        result = subprocess.run(
            [sys.executable, "-m", "workers.egress"],
            env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return result.returncode, result.stderr

    code, said = start(PORT=str(other_server.port))
    assert code == 69
    assert "cannot listen" in said
    code, said = start(UPSTREAM="socks5://user:secret@proxy")
    assert code == 78
    assert "egress.upstream" in said
    assert "secret" not in said
