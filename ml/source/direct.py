"""Plain media links: an HTTP answer that is the recording itself, streamed to a file."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from email.message import Message
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, quote, urljoin

from ml.errors import (
    SourceError,
    SourceNotFound,
    SourceRateLimited,
    SourceTimeout,
    SourceTooLarge,
    SourceUnreachable,
)
from ml.source.addresses import AddressPolicy
from ml.source.route import Route

SOCKET_TIMEOUT = 20.0
"""Seconds without a byte after which a server counts as dead."""
USER_AGENT = "Mozilla/5.0 (compatible; emotion-clf)"
MAX_REDIRECTS = 5
_SUFFIXES = ".aac .flac .m4a .m4v .mka .mkv .mov .mp3 .mp4 .oga .ogg .ogv .opus .wav .webm"
MEDIA_SUFFIXES = frozenset(_SUFFIXES.split())
_CHUNK_BYTES = 1 << 16
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({404, 410})
_MEDIA_TYPES = frozenset({"application/ogg", "application/mp4"})
_UNTYPED = frozenset({"", "application/octet-stream", "binary/octet-stream", "text/plain"})
_PLAYLIST_TYPES = ("mpegurl", "scpls", "xspf", "dash+xml")
_URL_CHARACTERS = "/:?#[]@!$&'()*+,;=%-._~"
"""Everything else is percent-encoded, as browsers do."""

Progress = Callable[[int, int | None], None]


def download_direct(
    url: str,
    target: Path,
    policy: AddressPolicy,
    max_bytes: int,
    progress: Progress,
    *,
    route: Route | None = None,
) -> bool:
    """Download a plain media link to ``target``.

    Returns False if the link answers with something else, such as a web page. Every hop of a
    redirect is checked and then dialled at the very address that was checked, or dialled by
    ``route``, which checks it too.
    ``progress`` is called with the bytes received and, if known, the bytes expected.

    Raises:
        SourceError: it is gone, rate limited, too large, unreachable or forbidden.

    """
    for _ in range(MAX_REDIRECTS + 1):
        parts = policy.check_url(url)
        with _get(parts, route or policy) as response:
            location = response.headers.get("Location")
            if response.status in _REDIRECTS and location:
                # http.client reads headers as Latin-1: this gives back the bytes that were sent.
                url = urljoin(url, quote(location.encode("latin-1"), safe=_URL_CHARACTERS))
                continue
            _raise_for_status(response.status)
            if response.status != http.HTTPStatus.OK or not _is_media(response.headers, parts):
                return False
            with _translated_errors():
                _stream(response, target, max_bytes, progress)
            return True
    raise SourceUnreachable("The link redirects too often.")


@contextmanager
def _get(parts: SplitResult, route: Route) -> Iterator[http.client.HTTPResponse]:
    connection = _Connection(parts, route)
    with closing(connection):
        path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
        ascii_path = quote(path, safe=_URL_CHARACTERS, errors="replace")
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
        with _translated_errors():
            connection.request("GET", ascii_path, headers=headers)
            response = connection.getresponse()
        yield response


class _Connection(http.client.HTTPConnection):
    """A connection to an address that was checked, for http and https."""

    def __init__(self, parts: SplitResult, route: Route) -> None:
        self._tls = parts.scheme == "https"
        self._route = route
        port = parts.port or (443 if self._tls else 80)
        super().__init__(parts.hostname or "", port, timeout=SOCKET_TIMEOUT)

    def connect(self) -> None:
        """Dial; called by the base class."""
        self.sock = self._route.dial(self.host, self.port, SOCKET_TIMEOUT)
        if self._tls:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except SourceError:
        raise
    except TimeoutError as error:
        raise SourceTimeout() from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SourceUnreachable() from error


def _raise_for_status(status: int) -> None:
    """Raise for answers that no extractor could better; leave the others to it."""
    if status in _GONE:
        raise SourceNotFound()
    if status == http.HTTPStatus.TOO_MANY_REQUESTS:
        raise SourceRateLimited()
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        raise SourceUnreachable()


def _is_media(headers: Message, parts: SplitResult) -> bool:
    kind = headers.get_content_type() if "Content-Type" in headers else ""
    if kind.endswith(_PLAYLIST_TYPES):
        return False
    if kind.startswith(("audio/", "video/")) or kind in _MEDIA_TYPES:
        return True
    return kind in _UNTYPED and PurePosixPath(parts.path.lower()).suffix in MEDIA_SUFFIXES


def _stream(
    response: http.client.HTTPResponse, target: Path, max_bytes: int, progress: Progress
) -> None:
    expected = response.length
    if expected is not None and expected > max_bytes:
        raise SourceTooLarge()
    received = 0
    with target.open("wb") as sink:
        while data := response.read1(_CHUNK_BYTES):
            received += len(data)
            if received > max_bytes:
                raise SourceTooLarge()
            sink.write(data)
            progress(received, expected)
    if expected is not None and received < expected:
        raise SourceUnreachable("The download broke off.")
