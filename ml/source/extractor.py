"""Media behind web pages, through yt-dlp."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml.errors import (
    MediaNoAudio,
    SourceBotCheck,
    SourceNotFound,
    SourcePlaylist,
    SourceRateLimited,
    SourceTimeout,
    SourceTooLarge,
    SourceUnreachable,
    SourceUnsupported,
)
from ml.source.direct import SOCKET_TIMEOUT

Progress = Callable[[int, int | None], None]

_FAILURES: tuple[tuple[str, type[Exception]], ...] = (
    (r"not a bot|captcha|unusual traffic", SourceBotCheck),
    (r"HTTP Error 429|too many requests|rate.?limit", SourceRateLimited),
    (r"max-filesize|File too large", SourceTooLarge),
    (r"Requested format is not available", MediaNoAudio),
    (r"HTTP Error (400|401|402|403|404|410|451)", SourceNotFound),
    (
        r"private|removed|deleted|unavailable|not available|does not exist|no longer"
        r"|members.only|sign in|log.?in|premium|paywall|purchase|DRM|age.restricted",
        SourceNotFound,
    ),
    (r"timed out|timeout", SourceTimeout),
    (
        r"HTTP Error 5\d\d|connection|resolve|name or service|IncompleteRead|SSL|certificate"
        r"|network|unreachable|bytes read|remote end closed",
        SourceUnreachable,
    ),
)
"""What yt-dlp's messages mean, first match first. The messages themselves are never shown."""


def options(target: Path, max_bytes: int, logger: Any, progress: Progress) -> dict[str, Any]:
    """Return the options for yt-dlp: one recording, one file, no side effects."""

    def hook(status: dict[str, Any]) -> None:
        total = status.get("total_bytes") or status.get("total_bytes_estimate")
        progress(int(status.get("downloaded_bytes") or 0), int(total) if total else None)

    return {
        "format": "bestaudio/best",
        "outtmpl": {"default": str(target)},
        "noplaylist": True,
        "extract_flat": "in_playlist",
        "playlist_items": "1",
        "max_filesize": max_bytes,
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
        "socket_timeout": SOCKET_TIMEOUT,
        "retries": 2,
        "fragment_retries": 2,
        "extractor_retries": 1,
        "skip_unavailable_fragments": False,
        "quiet": True,
        "noprogress": True,
        "logger": logger,
        "progress_hooks": [hook],
    }


def download_extracted(url: str, target: Path, max_bytes: int, progress: Progress) -> None:
    """Download the recording behind a page to ``target``.

    Raises:
        SourceError: there is none, it is a playlist or a live stream, or it cannot be had.
        MediaNoAudio: what is there has no sound.

    """
    # Plug-ins are code from directories that others may write to.
    from yt_dlp import YoutubeDL
    from yt_dlp.globals import plugin_dirs
    from yt_dlp.utils import YoutubeDLError

    plugin_dirs.value = []
    log = _Log()
    try:
        with YoutubeDL(options(target, max_bytes, log, progress)) as ydl:
            info = ydl.extract_info(url, download=False)
            _check(info, max_bytes)
            ydl.process_ie_result(info, download=True)
    except (YoutubeDLError, OSError) as error:
        raise _meaning_of(f"{error}") from error
    if not target.exists():
        raise _meaning_of(log.text)


def _check(info: dict[str, Any] | None, max_bytes: int) -> None:
    if info is None:
        raise SourceUnsupported()
    if info.get("_type", "video") != "video":
        raise SourcePlaylist()
    if info.get("is_live"):
        raise SourceUnsupported(
            "The link is a live stream.", hint="Submit the recording when the stream has ended."
        )
    if (info.get("filesize") or 0) > max_bytes:
        raise SourceTooLarge()


def _meaning_of(message: str) -> Exception:
    for pattern, error in _FAILURES:
        if re.search(pattern, message, re.IGNORECASE):
            return error()
    return SourceUnsupported()


class _Log:
    """Keeps yt-dlp's messages instead of printing them."""

    def __init__(self) -> None:
        self.text = ""

    def debug(self, message: str) -> None:
        self.text += f"{message}\n"

    warning = error = debug
