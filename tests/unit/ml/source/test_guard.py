"""The audit hook, in processes of its own: it cannot be removed again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from media import Answer, MediaServer

PRELUDE = """
import sys
from dataclasses import dataclass
from pathlib import Path
from ml.source.addresses import AddressPolicy
from ml.source.guard import Guard

@dataclass(frozen=True)
class OnePort(AddressPolicy):
    port: int = 0
    def permits(self, address, port):
        return port == self.port

allowed, forbidden, directory = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
guard = Guard(OnePort(port=allowed), directory)
"""
INSTALL = "guard.install(10_000_000)\n"


def run(code: str, *arguments: object, install: bool = True) -> subprocess.CompletedProcess[str]:
    text = PRELUDE + (INSTALL if install else "") + code
    return subprocess.run(
        [sys.executable, "-I", "-c", text, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


CONNECTIONS = {
    "socket": "import socket; socket.create_connection(('127.0.0.1', forbidden))",
    "unresolved name": "import socket; socket.socket().connect(('localhost', forbidden))",
    "connect_ex": "import socket; socket.socket().connect_ex(('127.0.0.1', forbidden))",
    "urllib": "import urllib.request as r; r.urlopen(f'http://127.0.0.1:{forbidden}/')",
    "requests": "import requests; requests.get(f'http://127.0.0.1:{forbidden}/')",
    "asyncio": "import asyncio; asyncio.run(asyncio.open_connection('127.0.0.1', forbidden))",
    "udp": "import socket as s; s.socket(type=s.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', forbidden))",
    "unix": "import socket as s; s.socket(s.AF_UNIX).connect('/tmp/x')",
}


@pytest.mark.parametrize("name", CONNECTIONS)
def test_connections_elsewhere_are_refused(
    tmp_path: Path, media_server: MediaServer, other_server: MediaServer, name: str
) -> None:
    code = (
        f"try:\n    {CONNECTIONS[name]}\nexcept Exception:\n    pass\nprint(guard.refused_address)"
    )
    result = run(code, media_server.port, other_server.port, tmp_path)
    assert result.stdout.strip() == "True", result.stderr
    assert other_server.connections == 0


def test_without_the_guard_they_would_succeed(
    tmp_path: Path, media_server: MediaServer, other_server: MediaServer
) -> None:
    result = run(
        CONNECTIONS["socket"], media_server.port, other_server.port, tmp_path, install=False
    )
    assert result.returncode == 0
    assert other_server.connections == 1


@pytest.mark.parametrize(
    "code",
    [
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
        "import os; os.fork()",
        "import os; os.execv('/bin/true', ['true'])",
        "import os; os.posix_spawn('/bin/true', ['true'], {})",
        "open('/tmp/emotion-clf-outside', 'w')",
        "open(directory.parent / 'outside', 'a')",
        "open(directory / '..' / 'outside', 'x')",
        "import curl_cffi",
    ],
)
def test_programs_and_files_elsewhere_are_refused(tmp_path: Path, code: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    result = run(code, 1, 2, inside)
    assert result.returncode == 1
    assert "PermissionError" in result.stderr or "ModuleNotFoundError" in result.stderr
    assert list(tmp_path.iterdir()) == [inside]


def test_files_are_limited_by_the_kernel(tmp_path: Path) -> None:
    code = "(directory / 'large').write_bytes(bytes(10_000_001))"
    assert "File too large" in run(code, 1, 2, tmp_path).stderr
    assert (tmp_path / "large").stat().st_size <= 10_000_000


FOREIGN = {
    "video on a page": "<video src='http://127.0.0.1:{port}/secret.mp4'></video>",
    "redirect": "302",
    "segment": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:{port}/s.aac\n"
    "#EXT-X-ENDLIST\n",
    "key": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n"
    '#EXT-X-KEY:METHOD=AES-128,URI="http://127.0.0.1:{port}/key"\n#EXTINF:9,\n/s.aac\n'
    "#EXT-X-ENDLIST\n",
    "variant": '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="mp4a.40.2"\n'
    "http://127.0.0.1:{port}/child.m3u8\n",
    "manifest": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT9S"><Period><AdaptationSet mimeType="audio/mp4">'
    '<Representation id="1" bandwidth="1"><BaseURL>http://127.0.0.1:{port}/a.mp4</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_page_cannot_send_the_extractor_elsewhere(
    tmp_path: Path, media_server: MediaServer, other_server: MediaServer, name: str
) -> None:
    content = FOREIGN[name].format(port=other_server.port)
    kind = "application/vnd.apple.mpegurl" if content.startswith("#EXTM3U") else "text/html"
    kind = "application/dash+xml" if content.startswith("<?xml") else kind
    answer = Answer(content.encode(), kind)
    if name == "redirect":
        target = f"http://127.0.0.1:{other_server.port}/"
        answer = Answer(status=302, headers={"Location": target})
    media_server.put("/s.aac", Answer(bytes(64), "audio/aac"))
    code = (
        "from ml.source.extractor import download_extracted\n"
        f"try:\n    download_extracted({media_server.put('/x', answer)!r}, directory / 'out', "
        "10**6, lambda a, b: None)\nexcept Exception:\n    pass\n"
    )
    result = run(code, media_server.port, other_server.port, tmp_path)
    assert result.returncode == 0, result.stderr
    assert media_server.connections > 0
    assert other_server.connections == 0


LOOKUPS = {
    "address": "import socket; socket.getaddrinfo('nowhere.invalid', 80)",
    "bytes": "import socket; socket.getaddrinfo(b'nowhere.invalid', 80)",
    "name": "import socket; socket.gethostbyname('localhost')",
    "reverse": "import socket; socket.gethostbyaddr('127.0.0.2')",
    "connection": "import socket; socket.create_connection(('127.0.0.1', 1))",
}


@pytest.mark.parametrize("name", LOOKUPS)
def test_with_a_proxy_nothing_else_is_dialled_or_looked_up(
    tmp_path: Path, media_server: MediaServer, name: str
) -> None:
    code = (
        "from ml.source.route import ProxyRoute; import socket\n"
        "guard = Guard(ProxyRoute('127.0.0.1', allowed), directory)\n"
        "guard.install(10)\n"
        "socket.create_connection(('127.0.0.1', allowed)).close()\n"
        "assert not guard.refused_address\n"
        f"try:\n    {LOOKUPS[name]}\nexcept PermissionError:\n    print(guard.refused_address)"
    )
    result = run(code, media_server.port, 1, tmp_path, install=False)
    assert result.stdout.strip() == "True", result.stderr
    assert media_server.connections == 1
