"""How connections leave: straight to addresses that were checked, or through a proxy alone."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, Self
from urllib.parse import urlsplit

from ml.errors import SourceForbiddenAddress, SourceUnreachable
from ml.source.addresses import AddressPolicy, ascii_host

REFUSED = "http_request_denied"
"""What the egress proxy says of a request that it refuses, in ``Proxy-Status`` (RFC 9209)."""
_MAX_HEAD_BYTES = 8192


class Route(Protocol):
    """What may be dialled and looked up, and how; :class:`AddressPolicy` is one."""

    def permits(self, address: str, port: int) -> bool:
        """Whether a connection to this IP address and port may be opened."""

    def resolves(self, host: str) -> bool:
        """Whether this name may be looked up."""

    def dial(self, host: str, port: int, timeout: float) -> socket.socket:
        """Return a connection to a host; raise a :class:`ml.errors.SourceError`."""


def route(proxy: str | None, allowed_networks: tuple[str, ...]) -> Route:
    """Return the way out: through the proxy where there is one, else by the address policy.

    Raises :class:`SourceUnreachable` if the proxy's name does not resolve.
    """
    return ProxyRoute.locate(proxy) if proxy else AddressPolicy(allowed_networks)


@dataclass(frozen=True, slots=True)
class ProxyRoute:
    """The way through an egress proxy, which does the lookups and judges the addresses."""

    address: str
    """IP address of the proxy."""
    port: int

    @classmethod
    def locate(cls, url: str) -> Self:
        """Look the proxy up, once."""
        parts = urlsplit(url)
        port = 80 if parts.port is None else parts.port
        try:
            found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise SourceUnreachable() from error
        return cls(str(found[0][4][0]), port)

    @property
    def url(self) -> str:
        """Where the proxy is, without a name that would have to be looked up."""
        return f"http://{_authority(self.address, self.port)}"

    def permits(self, address: str, port: int) -> bool:
        """Whether this is the proxy."""
        return (address, port) == (self.address, self.port)

    def resolves(self, host: str) -> bool:
        """Whether this is the proxy: other names are its business."""
        return host == self.address

    def dial(self, host: str, port: int, timeout: float) -> socket.socket:
        """Return a tunnel through the proxy to a host.

        ``timeout`` is in seconds, for connecting and for each later read.

        Raises:
            SourceForbiddenAddress: the proxy refuses to go there.
            SourceUnreachable: the proxy or the host does not answer.

        """
        target = _authority(ascii_host(host), port)
        try:
            connection = socket.create_connection((self.address, self.port), timeout)
            try:
                connection.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
                _require_success(_head(connection))
            except BaseException:
                connection.close()
                raise
        except (OSError, ValueError) as error:
            raise SourceUnreachable() from error
        return connection


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _head(connection: socket.socket) -> bytes:
    """Read an answer's head and not a byte more: what follows belongs to the tunnel."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte or len(head) == _MAX_HEAD_BYTES:
            raise ConnectionError("the proxy's answer broke off")
        head += byte
    return head


def _require_success(head: bytes) -> None:
    _, status, *_ = head.split(maxsplit=2)
    if int(status) == HTTPStatus.FORBIDDEN:
        raise SourceForbiddenAddress()
    if int(status) != HTTPStatus.OK:
        raise SourceUnreachable()
