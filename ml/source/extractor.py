"""Media behind web pages, through yt-dlp."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from ml.errors import (
    SettingInvalid,
    SourceForbiddenAddress,
    SourceLive,
    SourcePlaylist,
    SourceTooLarge,
    SourceUnsupported,
    SourceUpcoming,
)
from ml.source.direct import SOCKET_TIMEOUT
from ml.source.failures import meaning_of
from ml.source.route import REFUSED

Progress = Callable[[int, int | None], None]
_ALL = ("all", "default")


@dataclass(frozen=True, slots=True)
class Access:
    """How sites are asked."""

    proxy: str | None = None
    """The address of the egress proxy, without a name to be looked up."""
    extractors: tuple[str, ...] = ("default",)
    """See :attr:`ml.options.SourceOptions.extractors`."""
    cookies: str | None = field(default=None, repr=False)
    """In Netscape's format."""


def options(
    target: Path, max_bytes: int, logger: Any, progress: Progress, access: Access
) -> dict[str, Any]:
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
        # A copy in memory: yt-dlp writes back what sites set.
        "cookiefile": None if access.cookies is None else io.StringIO(access.cookies),
        "cookiesfrombrowser": None,
        "usenetrc": False,
        "enable_file_urls": False,
        "allow_unplayable_formats": False,
        "allowed_extractors": list(access.extractors),
        "external_downloader": {"default": "native"},
        "hls_prefer_native": True,
        "ffmpeg_location": os.devnull,
        "fixup": "never",
        "postprocessors": [],
        # An empty string keeps it from asking the environment.
        "proxy": access.proxy or "",
        "geo_verification_proxy": None,
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


def download_extracted(
    url: str, target: Path, max_bytes: int, progress: Progress, access: Access | None = None
) -> None:
    """Download the recording behind a page to ``target``.

    Raises:
        SourceError: there is none, it is a playlist or a live stream, or it cannot be had.
        MediaNoAudio: what is there has no sound.
        SettingInvalid: an extractor that may be used does not exist.

    """
    access = access or Access()
    if access.extractors != ("default",):
        require_extractors(access.extractors)
    _without_plugins()
    from yt_dlp.utils import YoutubeDLError

    log = _Log()
    refused = False

    def refuse() -> None:
        nonlocal refused
        refused = True

    try:
        with _downloader(options(target, max_bytes, log, progress, access), refuse) as ydl:
            info = ydl.extract_info(url, download=False)
            _check(info, max_bytes)
            ydl.process_ie_result(info, download=True)
    except (YoutubeDLError, OSError) as error:
        if refused:
            raise SourceForbiddenAddress() from error
        raise meaning_of(f"{error}") from error
    if not target.exists():
        raise SourceForbiddenAddress() if refused else meaning_of(log.text)


def require_extractors(names: Sequence[str]) -> None:
    """Raise :class:`SettingInvalid` for a name that stands for none of yt-dlp's extractors."""
    _without_plugins()
    from yt_dlp.extractor import gen_extractor_classes

    known = [extractor.IE_NAME.lower() for extractor in gen_extractor_classes()]
    for name in names:
        try:
            pattern = re.compile(name.removeprefix("-"), re.IGNORECASE)
        except re.error:
            pattern = re.compile(re.escape(name))
        if name not in _ALL and not any(map(pattern.fullmatch, known)):
            raise SettingInvalid(
                f"source.extractors is {name!r}; allowed: names of yt-dlp's extractors.",
                hint="`yt-dlp --list-extractors` lists them; `default` stands for all.",
            )


def _without_plugins() -> None:
    """Keep yt-dlp from importing code from directories that others may write to."""
    from yt_dlp.globals import plugin_dirs

    plugin_dirs.value = []


def _downloader(parameters: dict[str, Any], refuse: Callable[[], None]) -> Any:
    """Return yt-dlp, made to call ``refuse`` when the egress proxy refuses an address."""
    from yt_dlp import YoutubeDL
    from yt_dlp.networking.exceptions import HTTPError, ProxyError

    class Downloader(YoutubeDL):  # type: ignore[misc]
        def urlopen(self, req: Any) -> Any:
            """Send a request; all of yt-dlp's requests pass through here."""
            if not isinstance(req, str):
                # Extractors can name a proxy of their own, in these two ways.
                req.headers.pop("Ytdl-Request-Proxy", None)
                req.proxies.clear()
            try:
                return super().urlopen(req)
            except HTTPError as error:
                if REFUSED in (error.response.headers.get("Proxy-Status") or ""):
                    refuse()
                raise
            except ProxyError as error:
                if f" {HTTPStatus.FORBIDDEN} " in f"{error}":
                    refuse()
                raise

    return Downloader(parameters)


def _check(info: dict[str, Any] | None, max_bytes: int) -> None:
    if info is None:
        raise SourceUnsupported()
    if info.get("_type", "video") != "video":
        raise SourcePlaylist()
    if info.get("live_status") == "is_upcoming":
        raise SourceUpcoming()
    if info.get("is_live"):
        raise SourceLive()
    if (info.get("filesize") or 0) > max_bytes:
        raise SourceTooLarge()


class _Log:
    """Keeps yt-dlp's messages instead of printing them."""

    def __init__(self) -> None:
        self.text = ""

    def debug(self, message: str) -> None:
        self.text += f"{message}\n"

    warning = error = debug
