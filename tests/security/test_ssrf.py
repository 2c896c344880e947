"""Downloads that hostile links and pages try to lead to 127.0.0.1, and not one gets there.

The public server is 127.0.0.2, which is listed as an operator would list a network; the canary
listens on 127.0.0.1 and ::1 at the same port, and counts.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from egress import OUTSIDE, ROOT, Egress, running, with_names
from hypothesis import given
from hypothesis import strategies as st
from media import Answer, MediaServer
from vectors import NOWHERE, vectors

from ml.errors import SourceError, SourceForbiddenAddress, SourceNotFound
from ml.options import SourceOptions
from ml.source.addresses import AddressPolicy, ascii_host
from ml.source.download import download
from workers.webhook_client import NotDelivered, WebhookClient

HERE = Path(__file__).parent
MINIMUM = 60
NOT_FOLLOWED = {"page: json-ld embed", "page: xspf playlist", "rss", "smuggled proxy"}
"""yt-dlp does not go where these point, guarded or not; they would show if that changed."""


class Canary:
    """Counts the connections to 127.0.0.1 and ::1."""

    def __init__(self, port: int) -> None:
        self._servers = [MediaServer("127.0.0.1", port), MediaServer("::1", port)]

    @property
    def connections(self) -> int:
        return sum(server.connections for server in self._servers)

    def stop(self) -> None:
        for server in self._servers:
            server.stop()


@contextmanager
def outside_and_canary(jfk: Path) -> Iterator[tuple[MediaServer, Canary]]:
    server = MediaServer("127.0.0.2")
    server.put("/talk.flac", Answer(jfk.read_bytes(), "audio/flac"))
    server.put("/talk", Answer(b"<title>A talk</title><video src='/talk.flac'></video>"))
    canary = Canary(server.port)
    try:
        yield server, canary
    finally:
        server.stop()
        canary.stop()


@dataclass
class Outcome:
    codes: dict[str, str | None]
    arrived: set[str]
    """The vectors during which the canary was reached."""
    connections: int
    controls: list[str | None]


def attack(jfk: Path, directory: Path, *, hook: bool, with_proxy: bool) -> Outcome:
    """Try every vector, and the link and the page that are as they should be."""
    with ExitStack() as stack:
        server, canary = stack.enter_context(outside_and_canary(jfk))
        proxy = stack.enter_context(running()).url if with_proxy else None
        urls = vectors(server)
        if not (hook or proxy):
            urls = {name: url for name, url in urls.items() if name[6:] not in NOWHERE}
        controls = {name: server.url(f"/{name}") for name in ("talk.flac", "talk")}
        request = {"urls": urls | controls, "hook": hook, "proxy": proxy}
        process = subprocess.Popen(
            with_names(f"sys.path.insert(0, {str(HERE)!r}); import attack; attack.main()"),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        codes: dict[str, str | None] = {}
        arrived = set()
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps({**request, "directory": str(directory)}) + "\n")
            process.stdin.close()
            before = 0
            for line in process.stdout:
                name, codes[name] = json.loads(line)
                if canary.connections > before:
                    arrived.add(name)
                before = canary.connections
        assert process.returncode == 0
        assert list(codes) == [*urls, *controls]
        return Outcome(codes, arrived, canary.connections, [codes.pop(name) for name in controls])


SETTINGS = {
    "unguarded": {"hook": False, "with_proxy": False},
    "hook alone": {"hook": True, "with_proxy": False},
    "proxy alone": {"hook": False, "with_proxy": True},
    "both": {"hook": True, "with_proxy": True},
}


@pytest.fixture(scope="module")
def outcomes(jfk: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """What came of every setting; they are tried at the same time, since most of it is waiting."""
    with ThreadPoolExecutor() as pool:
        attacks = {
            name: pool.submit(attack, jfk, tmp_path_factory.mktemp("attack"), **setting)
            for name, setting in SETTINGS.items()
        }
        return {name: attack.result() for name, attack in attacks.items()}


def test_without_hook_and_proxy_most_arrive(outcomes: dict[str, Outcome]) -> None:
    unguarded = outcomes["unguarded"]
    sys.stdout.write(f"\nunguarded: {len(unguarded.arrived)} of {len(unguarded.codes)} arrive\n")
    assert len(unguarded.arrived) >= MINIMUM
    assert not unguarded.arrived & NOT_FOLLOWED
    assert unguarded.controls == [None, None]


@pytest.mark.parametrize("setting", ["hook alone", "proxy alone", "both"])
def test_none_arrives(outcomes: dict[str, Outcome], setting: str) -> None:
    outcome, hook = outcomes[setting], SETTINGS[setting]["hook"]
    sys.stdout.write(f"\n{setting}: {outcome.connections} of {len(outcome.codes)} arrive\n")
    assert outcome.connections == 0
    assert outcome.controls == [None, None]
    # What led inside ends the same way for all of them: nobody learns what is there.
    # yt-dlp itself sends no websocket through an HTTP proxy.
    arrived = outcomes["unguarded"].arrived - ({"other: websocket"} if not hook else set())
    assert {outcome.codes[name] for name in arrived} == {SourceForbiddenAddress.code}
    if hook:
        told = {name: code for name, code in outcome.codes.items() if name not in NOT_FOLLOWED}
        assert set(told.values()) == {SourceForbiddenAddress.code}
        assert len(told) >= MINIMUM


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """Return what makes the environment hostile, and tells which file a plug-in would write."""

    def make(port: int) -> Path:
        home, marker = tmp_path / "home", tmp_path / "marker"
        canary = f"http://127.0.0.1:{port}"
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, canary)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "*")
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PYTHONSTARTUP"):
            monkeypatch.setenv(name, "/nowhere")
        plugins = home / "yt-dlp-plugins" / "evil" / "yt_dlp_plugins" / "extractor"
        plugins.mkdir(parents=True)
        evil = f"import pathlib; pathlib.Path({str(marker)!r}).touch()"
        (plugins / "evil.py").write_text(evil)
        (home / "sitecustomize.py").write_text(evil)
        for name in ("yt-dlp.conf", ".netrc"):
            (home / name).write_text(f"--proxy {canary}\n--exec true\n")
        for name in ("HOME", "XDG_CONFIG_HOME", "PYTHONPATH", "PYTHONUSERBASE"):
            monkeypatch.setenv(name, str(home))
        return marker

    return make


@pytest.mark.parametrize("with_proxy", [False, True], ids=["hook alone", "both"])
def test_the_environment_leads_nowhere(
    tmp_path: Path, jfk: Path, egress: Egress, hostile: Callable[[int], Path], with_proxy: bool
) -> None:
    options = SourceOptions(
        allowed_networks=(OUTSIDE,), timeout=30, proxy=egress.url if with_proxy else None
    )
    with outside_and_canary(jfk) as (server, canary):
        marker = hostile(server.port)
        inside = f"<video src='http://127.0.0.1:{server.port}/x.mp4'></video>"
        link = server.put("/inside", Answer(inside.encode()))
        for name in ("good", "bad"):
            (tmp_path / name).mkdir()
        good = download(server.url("/talk"), tmp_path / "good", options)
        assert good.read_bytes() == jfk.read_bytes()
        with pytest.raises(SourceForbiddenAddress):
            download(link, tmp_path / "bad", options)
        assert canary.connections == 0
    assert not marker.exists()


@pytest.mark.parametrize("with_proxy", [False, True], ids=["policy alone", "both"])
def test_no_callback_arrives(jfk: Path, egress: Egress, with_proxy: bool) -> None:
    proxy = egress.url if with_proxy else None
    # Names resolve in the proxy's process; the rebinding one may lead outside.
    unknown = "rebind.test" if with_proxy else ".test"
    client = WebhookClient(SourceOptions(allowed_networks=(OUTSIDE,), proxy=proxy), timeout=5)
    failures = set()
    with outside_and_canary(jfk) as (server, canary):
        for url in vectors(server).values():
            if not any(part in url.lower() for part in (server.host, unknown)):
                with pytest.raises(NotDelivered) as caught:
                    client.post(url, {}, b"{}")
                failures.add(caught.value.failure)
        # A redirect is an answer like any other: nobody goes where it points.
        assert client.post(server.url("/redirect/302"), {}, b"{}").status >= 300
        assert canary.connections == 0
    assert failures == {"forbidden_address"}


def _dotted(number: int, base: Callable[[int], str]) -> str:
    return ".".join(base(number >> shift & 255) for shift in (24, 16, 8, 0))


def _v6(number: int) -> list[str]:
    address = ipaddress.IPv6Address(number)
    return [str(address), address.exploded, str(address).upper()]


def spellings(address: ipaddress.IPv4Address) -> list[str]:
    """Return what stands for an IPv4 address, or may, somewhere."""
    number = int(address)
    last24, last16 = number & 0xFFFFFF, number & 0xFFFF
    first, second = number >> 24, number >> 16 & 255
    plain = [
        str(address), str(number), hex(number), oct(number).replace("0o", "0"),
        f"{first}.{last24}", f"{first}.{second}.{last16}", f"{hex(first)}.{last24}",
        _dotted(number, hex), _dotted(number, lambda part: f"0{part:o}"),
        _dotted(number, lambda part: f"{part:03d}"), f"{number + 2**32}",
    ]  # fmt: skip
    plain += [text.translate({ord("0") + n: 0xFF10 + n for n in range(10)}) for text in plain]
    plain += [text.replace(".", "\u3002") for text in plain] + [f"{text}." for text in plain]
    carriers = [
        0xFFFF << 32 | number, number, 0x64FF9B << 96 | number, 0x64FF9B0001 << 80 | number,
        0x2002 << 112 | number << 80, 0x2001 << 112 | number << 64 | number ^ 0xFFFFFFFF,
        0x26064700 << 96 | 0x5EFE << 32 | number, 0x26064700 << 96 | 0x2005EFE << 32 | number,
    ]  # fmt: skip
    literal = [text for carrier in carriers for text in _v6(carrier)]
    literal += [f"::ffff:{address}", f"::{address}", f"64:ff9b::{address}"]
    return plain + [f"[{text}]" for text in literal] + [f"[{text}%25eth0]" for text in literal]


PRIVATE = st.one_of(
    *(
        st.ip_addresses(v=4, network=network)
        for network in (
            "127.0.0.0/8",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "169.254.0.0/16",
            "100.64.0.0/10",
            "0.0.0.0/8",
        )
    )
)


@given(PRIVATE)
def test_no_spelling_of_a_private_address_passes(address: ipaddress.IPv4Address) -> None:
    policy = AddressPolicy()
    for host in spellings(address):
        with pytest.raises((SourceForbiddenAddress, SourceNotFound)):
            parts = policy.check_url(f"http://{host}/")
            pytest.fail(f"{host} passed as {policy.resolve(parts.hostname or '', 80)}")
        with pytest.raises(SourceError):
            pytest.fail(f"{policy.resolve(host.strip('[]'), 80)}")


@given(st.ip_addresses())
def test_what_is_looked_up_is_spelt_in_one_way(address: ipaddress.IPv4Address) -> None:
    assert ascii_host(str(address)) == str(address)
    assert ascii_host(address.exploded.upper()) == str(address)
