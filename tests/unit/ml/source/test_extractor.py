from __future__ import annotations

from pathlib import Path

import pytest
from yt_dlp import YoutubeDL

from ml.errors import EmotionClfError, MediaNoAudio
from ml.source import extractor

MESSAGES = {
    "ERROR: [youtube] x: Sign in to confirm you\u2019re not a bot": "source.bot_check",
    "ERROR: [youtube] x: Sign in to confirm your age": "source.not_found",
    "ERROR: unable to download video: HTTP Error 429: Too Many Requests": "source.rate_limited",
    "ERROR: [youtube] x: Video unavailable": "source.not_found",
    "ERROR: [youtube] x: Private video. Sign in if you've been granted": "source.not_found",
    "ERROR: [youtube] x: This video has been removed by the uploader": "source.not_found",
    "ERROR: [generic] Unable to download webpage: HTTP Error 404: Not Found": "source.not_found",
    "ERROR: [generic] HTTP Error 403: Forbidden": "source.not_found",
    "ERROR: Unsupported URL: https://example.com": "source.unsupported",
    "ERROR: The read operation timed out": "source.timeout",
    "ERROR: [generic] HTTP Error 502: Bad Gateway": "source.unreachable",
    "ERROR: Failed to resolve 'x' ([Errno -2] Name or service not known)": "source.unreachable",
    "ERROR: [Errno 111] Connection refused": "source.unreachable",
    "File is larger than max-filesize (9 bytes > 5 bytes). Aborting.": "source.too_large",
    "unable to write data: [Errno 27] File too large": "source.too_large",
    "ERROR: [vimeo] 1: Requested format is not available": MediaNoAudio.code,
    "something nobody has ever seen": "source.unsupported",
}


@pytest.mark.parametrize("message", MESSAGES)
def test_what_the_messages_mean(message: str) -> None:
    error = extractor._meaning_of(message)
    assert isinstance(error, EmotionClfError)
    assert error.code == MESSAGES[message]
    assert message not in str(error)


def test_the_options_leave_no_side_door_open(tmp_path: Path) -> None:
    """A snapshot: whoever changes one of these shall have to mean it."""
    chosen = extractor.options(tmp_path / "download", 10, None, lambda received, expected: None)
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
        "usenetrc": False,
        "enable_file_urls": False,
        "allow_unplayable_formats": False,
        "external_downloader": {"default": "native"},
        "hls_prefer_native": True,
        "fixup": "never",
        "postprocessors": [],
        "proxy": "",
        "socket_timeout": 20.0,
        "retries": 2,
        "fragment_retries": 2,
        "extractor_retries": 1,
        "skip_unavailable_fragments": False,
        "quiet": True,
        "noprogress": True,
    }


def test_yt_dlp_accepts_the_options(tmp_path: Path) -> None:
    log = extractor._Log()
    with YoutubeDL(extractor.options(tmp_path / "x", 10, log, lambda a, b: None)) as ydl:
        assert ydl.params["noplaylist"]
    assert "Deprecated" not in log.text
