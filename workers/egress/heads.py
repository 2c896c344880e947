"""The heads of HTTP messages, read strictly: what two programs could read in two ways is refused.

Smuggling a request needs a message whose end is disputed. So requests have no body here, every
connection carries one request, and lines that break the grammar of RFC 9112 end it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal
from urllib.parse import urlsplit

from ml.errors import SourceForbiddenAddress, SourceNotFound
from ml.source.addresses import AddressPolicy
from workers.egress.errors import Failed, Refused

MAX_HEAD_BYTES = 32_768
MAX_HEADERS = 100
_REQUEST_LINE = re.compile(r"(CONNECT|GET|HEAD) ([\x21-\x7e]+) HTTP/1\.[01]")
_STATUS_LINE = re.compile(r"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\x00-\x08\x0a-\x1f\x7f]*)?")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/?#@\[\]%\\]+)):([0-9]{1,5})")
_HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authentication-info",
    "proxy-authorization", "proxy-connection", "te", "trailer", "upgrade",
})  # fmt: skip
_FRAMING = frozenset({"content-length", "transfer-encoding"})

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """Where somebody wants to go, checked as far as that goes without a lookup."""

    method: Literal["CONNECT", "GET", "HEAD"]
    host: str
    port: int
    head: bytes = b""
    """What is sent on; empty for a tunnel."""


def parse_request(data: bytes, policy: AddressPolicy) -> Request:
    """Return the request that a head asks for; raise :class:`Refused`."""
    line, headers = _split(data, Refused("malformed"))
    match = _REQUEST_LINE.fullmatch(line)
    if not match:
        raise Refused("malformed")
    # No method that passes has a use for a body.
    if any(name in _FRAMING and value != "0" for name, value in headers):
        raise Refused("body")
    if sum(name in _FRAMING for name, _ in headers) > 1:
        raise Refused("body")
    method, target = match.groups()
    if method == "CONNECT":
        host, port = _authority(target)
        return Request("CONNECT", *_allowed(policy, host, port))
    return _plain(method, target, headers, policy)


def _authority(target: str) -> tuple[str, int]:
    match = _AUTHORITY.fullmatch(target)
    if not match:
        raise Refused("malformed")
    literal, name, port = match.groups()
    return literal or name, int(port)


def _allowed(policy: AddressPolicy, host: str, port: int) -> tuple[str, int]:
    try:
        policy.check_target(host, port)
    except SourceForbiddenAddress as error:
        raise Refused("target", host, port) from error
    return host, port


def _plain(method: str, target: str, headers: list[Header], policy: AddressPolicy) -> Request:
    """Return a request for an http address as the server itself wants to read it."""
    try:
        parts = policy.check_url(target)
    except (SourceForbiddenAddress, SourceNotFound) as error:
        raise Refused("target", *_named_by(target)) from error
    if parts.scheme != "http":
        raise Refused("target", *_named_by(target))
    path = f"{parts.path or '/'}?{parts.query}".removesuffix("?")
    host, port = parts.hostname or "", 80 if parts.port is None else parts.port
    # Host is what the address says, whatever the client wrote there.
    kept = [each for each in end_to_end(headers) if each[0] not in ("host", "expect")]
    kept = [("host", parts.netloc), *kept, ("connection", "close")]
    head = write(f"{method} {path} HTTP/1.1", [each for each in kept if each[0] not in _FRAMING])
    return Request("GET" if method == "GET" else "HEAD", host, port, head)


def _named_by(target: str) -> tuple[str | None, int | None]:
    """Return the host and port of an address that was refused, for the log, if it has any."""
    try:
        parts = urlsplit(target)
        return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return None, None


def parse_response(data: bytes) -> tuple[int, bytes]:
    """Return the status of an answer and its head as it is passed on.

    Raises :class:`Failed` for one whose length could be read in two ways.
    """
    line, headers = _split(data, Failed("malformed"))
    match = _STATUS_LINE.fullmatch(line)
    if not match or int(match[1]) == HTTPStatus.SWITCHING_PROTOCOLS:
        raise Failed("malformed")
    if sum(name in _FRAMING for name, _ in headers) > 1:
        raise Failed("malformed")
    # Proxy-Status is how this proxy's own refusals are told from a site's.
    kept = [each for each in end_to_end(headers) if each[0] != "proxy-status"]
    return int(match[1]), write(line, [*kept, ("connection", "close")])


def end_to_end(headers: Iterable[Header]) -> list[Header]:
    """Return the headers without those that are meant for one hop alone (RFC 9110, 7.6.1)."""
    headers = list(headers)
    named = {
        token.strip().lower()
        for name, value in headers
        if name == "connection"
        for token in value.split(",")
    }
    hop_by_hop = _HOP_BY_HOP | (named - _FRAMING)
    return [(name, value) for name, value in headers if name not in hop_by_hop]


def write(line: str, headers: Iterable[Header]) -> bytes:
    """Return the bytes of a head."""
    lines = [line, *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _split(data: bytes, error: Exception) -> tuple[str, list[Header]]:
    """Return the first line and the headers, their names in lower case."""
    line, *rest = data.removesuffix(b"\r\n\r\n").decode("latin-1").split("\r\n")
    matches = [_HEADER.fullmatch(each) for each in rest]
    if len(rest) > MAX_HEADERS or not all(matches):
        raise error
    return line, [(match[1].lower(), match[2].strip()) for match in matches if match]
