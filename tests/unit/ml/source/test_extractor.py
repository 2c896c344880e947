from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from media import Answer, MediaServer
from yt_dlp import YoutubeDL
from yt_dlp.networking import Request

from ml.errors import (
    EmotionClfError,
    SettingInvalid,
    SourceLive,
    SourcePlaylist,
    SourceTooLarge,
    SourceUnsupported,
    SourceUpcoming,
)
from ml.source import extractor

COOKIES = "# Netscape HTTP Cookie File\nsite.test\tFALSE\t/\tFALSE\t0\tsession\tmine\n"


def chosen_options(target: Path, **access: Any) -> dict[str, Any]:
    return extractor.options(
        target, 10, extractor._Log(), lambda received, expected: None, extractor.Access(**access)
    )


def test_the_options_leave_no_side_door_open(tmp_path: Path) -> None:
    """A snapshot: whoever changes one of these shall have to mean it."""
    chosen = chosen_options(tmp_path / "download")
    assert {name: chosen[name] for name in chosen if name not in ("logger", "progress_hooks")} == {
        "format": "bestaudio/best",
        "outtmpl": {"default": str(tmp_path / "download")},
        "noplaylist": True,
        "extract_flat": "in_playlist",
        "playlist_items": "1",
        "max_filesize": 10,
        "nopart": True,
        "overwrites": True,
        "updatetime": False,
        "cachedir": False,
        "cookiefile": None,
        "cookiesfrombrowser": None,
        "usenetrc": False,
        "enable_file_urls": False,
        "allow_unplayable_formats": False,
        "allowed_extractors": ["default"],
        "external_downloader": {"default": "native"},
        "hls_prefer_native": True,
        "ffmpeg_location": "/dev/null",
        "fixup": "never",
        "postprocessors": [],
        "proxy": "",
        "geo_verification_proxy": None,
        "socket_timeout": 20.0,
        "retries": 2,
        "fragment_retries": 2,
        "extractor_retries": 1,
        "skip_unavailable_fragments": False,
        "quiet": True,
        "noprogress": True,
    }


def test_yt_dlp_accepts_the_options(tmp_path: Path) -> None:
    chosen = chosen_options(tmp_path / "x", proxy="http://127.0.0.1:1", extractors=("generic",))
    with YoutubeDL(chosen) as ydl:
        assert ydl.params["noplaylist"]
        assert ydl.proxies == {"all": "http://127.0.0.1:1"}
        assert list(ydl._ies) == ["Generic"]
    assert "Deprecated" not in chosen["logger"].text


def test_cookies_are_used_and_never_written_to_a_file(tmp_path: Path) -> None:
    chosen = chosen_options(tmp_path / "x", cookies=COOKIES)
    with YoutubeDL(chosen) as ydl:
        assert ydl.cookiejar.get_cookie_header("http://site.test/") == "session=mine"
        ydl.cookiejar.set_cookie(next(iter(ydl.cookiejar)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["youtube", "-youtube", "youtube.*", "default", "all", "Generic"])
def test_names_of_extractors(name: str) -> None:
    extractor.require_extractors(("default", name))


@pytest.mark.parametrize("name", ["yuotube", "", "-", "http://youtube.com", "(", "default.*", "[a"])
def test_what_stands_for_no_extractor_is_said(name: str) -> None:
    with pytest.raises(SettingInvalid, match=re.escape(f"source.extractors is {name!r}")):
        extractor.require_extractors(("youtube", name))


def test_a_site_whose_extractor_is_not_listed_is_not_supported(tmp_path: Path) -> None:
    with pytest.raises(SourceUnsupported):
        extractor.download_extracted(
            "https://www.youtube.com/watch?v=BaW_jenozKc", tmp_path / "x", 10, lambda a, b: None,
            extractor.Access(extractors=("vimeo",)),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("info", "error"),
    [
        ({"live_status": "is_upcoming"}, SourceUpcoming),
        ({"is_live": True}, SourceLive),
        ({"_type": "playlist"}, SourcePlaylist),
        ({"filesize": 11}, SourceTooLarge),
        (None, SourceUnsupported),
    ],
)
def test_what_is_known_before_the_download(
    info: dict[str, object] | None, error: type[EmotionClfError]
) -> None:
    with pytest.raises(error):
        extractor._check(info, 10)


def test_no_request_brings_a_proxy_of_its_own(
    tmp_path: Path, media_server: MediaServer, other_server: MediaServer
) -> None:
    url = media_server.put("/", Answer(b"hi"))
    evil = f"http://127.0.0.1:{other_server.port}"
    with extractor._downloader(chosen_options(tmp_path / "x"), lambda: None) as ydl:
        for request in (
            Request(url, headers={"Ytdl-Request-Proxy": evil}),
            Request(url, proxies={"all": evil}),
        ):
            assert ydl.urlopen(request).read() == b"hi"
    assert media_server.connections == 2
    assert other_server.connections == 0
