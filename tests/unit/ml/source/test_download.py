"""Downloads from a real server on 127.0.0.1, in the real download process."""

from __future__ import annotations

import io
import itertools
import os
import queue
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from egress import OUTSIDE, Egress
from media import Answer, MediaServer, encode, tone

from ml.errors import (
    Cancelled,
    EmotionClfError,
    SettingInvalid,
    SourceForbiddenAddress,
    SourceNotFound,
    SourcePlaylist,
    SourcePrivate,
    SourceRateLimited,
    SourceTimeout,
    SourceTooLarge,
    SourceUnreachable,
    SourceUnsupported,
)
from ml.options import SourceOptions
from ml.source.download import _read, download

LOCAL = SourceOptions(allowed_networks=("127.0.0.0/8",), timeout=30, max_bytes=5_000_000)


def page(*media: str) -> Answer:
    videos = "".join(f'<video src="{source}"></video>' for source in media)
    return Answer(f"<html><head><title>A talk</title></head><body>{videos}</body></html>".encode())


def fetched(url: str, tmp_path: Path, options: SourceOptions = LOCAL) -> Path:
    return download(url, tmp_path, options)


def children() -> set[str]:
    own = str(os.getpid())
    stats = [entry / "stat" for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    found = set()
    for stat in stats:
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[1] == own:
            found.add(stat.parent.name)
    return found


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/talk.flac", "audio/flac"),
        ("/talk", "video/mp4"),
        ("/talk", "application/ogg"),
        ("/talk.FLAC?download=1", "application/octet-stream"),
        ("/talk.flac", None),
    ],
)
def test_a_plain_media_link(
    tmp_path: Path, media_server: MediaServer, jfk: Path, path: str, kind: str | None
) -> None:
    url = media_server.put(path, Answer(jfk.read_bytes(), kind))
    result = fetched(url, tmp_path)
    assert result.read_bytes() == jfk.read_bytes()
    assert media_server.connections == 1


def test_names_of_the_server_do_not_become_file_names(
    tmp_path: Path, media_server: MediaServer, jfk: Path
) -> None:
    url = media_server.put("/..%2f..%2fetc%2fx.flac", Answer(jfk.read_bytes(), "audio/flac"))
    assert fetched(url, tmp_path) == tmp_path / "download"
    assert [path.name for path in tmp_path.iterdir()] == ["download"]


def test_redirects_are_followed(tmp_path: Path, media_server: MediaServer, jfk: Path) -> None:
    media_server.put("/talk.flac", Answer(jfk.read_bytes(), "audio/flac"))
    media_server.put("/b", Answer(status=302, headers={"Location": "/talk.flac"}))
    url = media_server.put("/a", Answer(status=307, headers={"Location": media_server.url("/b")}))
    assert fetched(url, tmp_path).read_bytes() == jfk.read_bytes()


def test_letters_beyond_ascii_reach_the_server(
    tmp_path: Path, media_server: MediaServer, jfk: Path
) -> None:
    answer = Answer(jfk.read_bytes(), "audio/flac")
    media_server.put("/m%C3%BAsica/%C3%A9%20%41.flac?q=%C3%BC", answer)
    media_server.put(
        "/%E2%99%AA",
        Answer(status=302, headers={"Location": "/m\u00c3\u00basica/%C3%A9%20%41.flac?q=%C3%BC"}),
    )
    for path in ("/m\u00fasica/\u00e9%20%41.flac?q=\u00fc", "/\u266a"):
        assert fetched(media_server.url(path), tmp_path).read_bytes() == jfk.read_bytes()


def test_a_page_with_a_video(tmp_path: Path, media_server: MediaServer) -> None:
    film = encode(tmp_path / "film.mp4", tone(1.0, 16_000), 16_000)
    media_server.put("/film.mp4", Answer(film.read_bytes(), "video/mp4"))
    (tmp_path / "download-here").mkdir()
    result = fetched(media_server.put("/talk", page("/film.mp4")), tmp_path / "download-here")
    assert result.read_bytes() == film.read_bytes()


def test_a_segmented_stream_is_joined(tmp_path: Path, media_server: MediaServer) -> None:
    first = encode(tmp_path / "first.aac", tone(1.0, 22_050), 22_050).read_bytes()
    media_server.put("/1.aac", Answer(first, "audio/aac"))
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n" + "#EXTINF:1,\n/1.aac\n" * 2
    url = media_server.put(
        "/live.m3u8",
        Answer(f"{playlist}#EXT-X-ENDLIST\n".encode(), "application/vnd.apple.mpegurl"),
    )
    (tmp_path / "download-here").mkdir()
    assert fetched(url, tmp_path / "download-here").read_bytes() == first * 2


MISTAKES: dict[str, tuple[Answer, type[EmotionClfError]]] = {
    "gone": (Answer(status=404), SourceNotFound),
    "removed": (Answer(status=410), SourceNotFound),
    "private": (Answer(status=403), SourceNotFound),
    "sign-in": (Answer(status=401), SourcePrivate),
    "limited": (Answer(status=429), SourceRateLimited),
    "broken": (Answer(status=503), SourceUnreachable),
    "loop": (Answer(status=302, headers={"Location": "/x"}), SourceUnreachable),
    "to a file": (Answer(status=302, headers={"Location": "file:///etc/passwd"}),
                  SourceForbiddenAddress),
    "to ftp": (Answer(status=302, headers={"Location": "ftp://127.0.0.1/x"}),
               SourceForbiddenAddress),
    "with credentials": (Answer(status=302, headers={"Location": "http://a:b@127.0.0.1/"}),
                         SourceForbiddenAddress),
    "breaks off": (Answer(b"x" * 100, "audio/mpeg", length=10_000), SourceUnreachable),
    "announced too large": (Answer(b"x", "audio/mpeg", length=10**12), SourceTooLarge),
    "endless": (Answer(b"x" * 65_536, "audio/mpeg", endless=True), SourceTooLarge),
    "nothing on the page": (page(), SourceUnsupported),
    "several on the page": (page("/a.mp4", "/b.mp4"), SourcePlaylist),
    "not http": (Answer(b"", None, headers={"Transfer-Encoding": "chunked"}, length=None),
                 SourceUnreachable),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_has_its_error(tmp_path: Path, media_server: MediaServer, name: str) -> None:
    before = children()
    answer, error = MISTAKES[name]
    with pytest.raises(error) as caught:
        fetched(media_server.put("/x", answer), tmp_path)
    assert type(caught.value) is error
    assert "127.0.0.1" not in str(caught.value)
    assert children() <= before


def test_a_playlist_of_files_on_a_page_is_a_playlist(
    tmp_path: Path, media_server: MediaServer
) -> None:
    feed = (
        '<?xml version="1.0"?><rss version="2.0"><channel><title>Talks</title>'
        + "".join(
            f"<item><title>{n}</title><link>{media_server.url('/a')}</link>"
            f'<enclosure url="{media_server.url("/a.mp3")}" type="audio/mpeg"/></item>'
            for n in range(3)
        )
        + "</channel></rss>"
    )
    url = media_server.put("/feed", Answer(feed.encode(), "application/rss+xml"))
    with pytest.raises(SourcePlaylist):
        fetched(url, tmp_path)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x.mp3", "http://nowhere.invalid/x.mp3"])
def test_a_dead_address_is_unreachable_and_may_be_retried(tmp_path: Path, url: str) -> None:
    with pytest.raises(SourceUnreachable) as caught:
        fetched(url, tmp_path)
    assert caught.value.transient


@pytest.mark.parametrize(
    "answer",
    [
        Answer(b"x", "audio/mpeg", endless=True, pause=0.1),
        Answer(b"x", "audio/mpeg", pause=30),
        Answer(b"<", "text/html", endless=True, pause=0.1),
    ],
    ids=["drip", "hang", "page drip"],
)
def test_slow_servers_do_not_hold_us(
    tmp_path: Path, media_server: MediaServer, answer: Answer
) -> None:
    before = children()
    began = time.monotonic()
    with pytest.raises(SourceTimeout):
        fetched(media_server.put("/x.mp3", answer), tmp_path, replace(LOCAL, timeout=1.5))
    assert time.monotonic() - began < 2.5
    assert children() <= before


def test_cancelling_kills_the_download_at_once(
    tmp_path: Path, media_server: MediaServer, cancel_after: Callable[[float], Callable[[], None]]
) -> None:
    before = children()
    url = media_server.put("/x.mp3", Answer(b"x", "audio/mpeg", endless=True, pause=0.05))
    began = time.monotonic()
    with pytest.raises(Cancelled):
        download(url, tmp_path, LOCAL, check=cancel_after(0.5))
    assert time.monotonic() - began < 1.5
    assert children() <= before


def test_progress_and_checks_come_often(tmp_path: Path, media_server: MediaServer) -> None:
    body = b"x" * 50_000
    url = media_server.put("/x.mp3", Answer(body, "audio/mpeg", endless=True, pause=0.05))
    checks: list[float] = []
    seen: list[str] = []
    with pytest.raises(SourceTimeout):
        download(
            url,
            tmp_path,
            replace(LOCAL, timeout=2),
            progress=lambda fraction, detail: seen.append(detail),
            check=lambda: checks.append(time.monotonic()),
        )
    gaps = [after - before for before, after in itertools.pairwise(checks)]
    assert max(gaps) < 0.5
    assert len(seen) >= 3
    assert all(detail.endswith("MB") for detail in seen)


@pytest.mark.parametrize(
    "written", [b"", b'{"event": "prog', b"Segmentation fault\n", b'{"event": "progress"}\n\xff']
)
def test_a_process_that_ends_without_a_result_has_failed(written: bytes) -> None:
    events: queue.Queue[dict[str, object]] = queue.Queue()
    _read(io.BytesIO(written), events)
    found = [events.get_nowait()["event"] for _ in range(events.qsize())]
    assert found == ["progress"] * (b"\xff" in written) + ["failed"]


def test_a_broken_pipe_is_a_failure_too() -> None:
    class Broken(io.BytesIO):
        def __next__(self) -> bytes:
            raise OSError

    events: queue.Queue[dict[str, object]] = queue.Queue()
    with pytest.raises(OSError):
        _read(Broken(), events)
    assert events.get_nowait()["event"] == "failed"


def test_what_libraries_print_is_no_event() -> None:
    code = (
        "import os; from ml.source import isolated\n"
        "events = isolated._take_standard_output()\n"
        "print('hello', flush=True); os.write(1, b'hello'); isolated._emit(events, event='done')\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert result.stdout == b'{"event": "done"}\n'


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "0x7f000001", "2130706433", "127.1"])
def test_private_addresses_are_not_even_dialled(
    tmp_path: Path, media_server: MediaServer, name: str
) -> None:
    options = replace(LOCAL, allowed_networks=())
    for url in (f"http://{name}:{media_server.port}/x.mp3", f"http://{name}/x.mp3"):
        with pytest.raises(SourceForbiddenAddress):
            fetched(url, tmp_path, options)
    assert media_server.connections == 0


def test_the_environment_has_no_say(
    tmp_path: Path, media_server: MediaServer, jfk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit(9)")
    url = media_server.put("/talk.flac", Answer(jfk.read_bytes(), "audio/flac"))
    assert fetched(url, tmp_path).stat().st_size == jfk.stat().st_size


def test_through_the_proxy_errors_are_told_apart(tmp_path: Path, egress: Egress) -> None:
    through = replace(LOCAL, allowed_networks=(OUTSIDE,), proxy=egress.url)
    with pytest.raises(SourceUnreachable):
        fetched("http://127.0.0.2:1/x.mp3", tmp_path, through)
    with pytest.raises(SourceForbiddenAddress):
        fetched("http://nowhere.test/x.mp3", tmp_path, through)
    with pytest.raises(SourceUnreachable):
        fetched("http://1.1.1.1/x.mp3", tmp_path, replace(through, proxy="http://127.0.0.1:1"))


def test_a_site_gets_the_cookies_and_the_file_stays_as_it_is(
    tmp_path: Path, media_server: MediaServer, jfk: Path
) -> None:
    path = tmp_path / "cookies.txt"
    text = "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tmine\n"
    path.write_text(text)
    directory = tmp_path / "download-here"
    directory.mkdir()
    media_server.put("/talk.flac", Answer(jfk.read_bytes(), "audio/flac"))
    answer = replace(page("/talk.flac"), headers={"Set-Cookie": "session=theirs; Path=/"})
    fetched(media_server.put("/talk", answer), directory, replace(LOCAL, cookie_file=str(path)))
    assert media_server.headers["/talk.flac"]["Cookie"] == "session=theirs"
    assert media_server.headers["/talk"]["Cookie"] == "session=mine"
    assert path.read_text() == text
    assert [entry.name for entry in directory.iterdir()] == ["download"]


def test_an_extractor_that_does_not_exist_is_a_wrong_setting(
    tmp_path: Path, media_server: MediaServer
) -> None:
    url = media_server.put("/talk", page("/talk.flac"))
    with pytest.raises(SettingInvalid, match="yuotube"):
        fetched(url, tmp_path, replace(LOCAL, extractors=("yuotube",)))


def test_a_pause_before_a_site_can_be_cancelled(
    tmp_path: Path, media_server: MediaServer, cancel_after: Callable[[float], Callable[[], None]]
) -> None:
    url = media_server.put("/talk", page("/talk.flac"))
    with pytest.raises(Cancelled):
        download(url, tmp_path, replace(LOCAL, jitter=1e6), check=cancel_after(1))
    assert media_server.connections <= 1
