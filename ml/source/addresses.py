"""Which network addresses may be fetched.

``ipaddress.is_global`` is not enough: in Python 3.11 it accepts NAT64, 6to4 and site-local
addresses and multicast, each of which can lead into a private network. So the ranges are
listed here (IANA special-purpose registries, RFC 6890). A mapped address is judged by the IPv4
address inside; all other forms that carry one (compatible, NAT64, 6to4, Teredo, ISATAP) are
denied as a whole, since nothing public is only to be had through them.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from ml.errors import SourceForbiddenAddress, SourceNotFound, SourceUnreachable

PORTS = range(1, 65_536)
PUBLIC_PORTS = frozenset({80, 443})
MAX_URL_CHARACTERS = 4096

_DENIED_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, cloud metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT relays
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "168.63.129.16/32",  # a cloud's host agent, on a public address
    )
)
_ALLOWED_V6 = ipaddress.IPv6Network("2000::/3")
"""The only IPv6 range that holds public unicast addresses; all others are denied."""
_DENIED_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, among them Teredo and ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_ISATAP = frozenset({0x0000_5EFE, 0x0200_5EFE})
"""Bits 32 to 63 of addresses that carry an IPv4 address behind any prefix (RFC 5214)."""
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""What C libraries take for a part of an IPv4 address."""


def is_public(address: str) -> bool:
    """Whether an IP address is public unicast; False for anything that is not an IP address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in _DENIED_V4)
    if parsed.ipv4_mapped is not None and not parsed.scope_id:
        return is_public(str(parsed.ipv4_mapped))
    if parsed.scope_id or (int(parsed) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return False
    return parsed in _ALLOWED_V6 and not any(parsed in network for network in _DENIED_V6)


def ascii_host(host: str) -> str:
    """Return a host as it is looked up: an IP address in its usual spelling, or a name in ASCII.

    Raises:
        SourceForbiddenAddress: it is neither. Other spellings of addresses (``0x7f.1``, a zone,
            a dot at the end) are refused even where they stand for a public one: programs
            do not agree on what they mean.

    """
    try:
        if ":" in host and "%" not in host:
            return str(ipaddress.IPv6Address(host))
        name = host.encode("idna").decode("ascii").lower()
        if not _NAME.fullmatch(name):
            raise SourceForbiddenAddress()
        if _NUMBER.fullmatch(name.rpartition(".")[2]):
            return str(ipaddress.IPv4Address(name))
    except ValueError as error:
        raise SourceForbiddenAddress() from error
    return name


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Decides what a download may connect to."""

    allowed_networks: tuple[str, ...] = ()
    """Networks that an operator lists: any port may be dialled there, public or not."""

    def permits(self, address: str, port: int) -> bool:
        """Whether a connection to this IP address and port may be opened."""
        return (port in PUBLIC_PORTS and is_public(address)) or self._is_allowed(address)

    def _is_allowed(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in ipaddress.ip_network(network) for network in self.allowed_networks)

    def check_url(self, url: str) -> SplitResult:
        """Return the parts of an http or https URL that may be fetched.

        The host name is not resolved here; :meth:`resolve` does that just before
        connecting, so that what was checked is what is dialled.

        Raises:
            SourceForbiddenAddress: another scheme, credentials, a port or a literal
                address that is not allowed.
            SourceNotFound: not a URL at all.

        """
        parts, host, port = _split(url)
        if parts.scheme not in ("http", "https") or "@" in parts.netloc:
            raise SourceForbiddenAddress()
        self.check_target(host, port)
        return parts

    def check_target(self, host: str, port: int) -> None:
        """Refuse what can be refused without a lookup; raise :class:`SourceForbiddenAddress`."""
        name = ascii_host(host)
        if port not in (PORTS if self.allowed_networks else PUBLIC_PORTS):
            raise SourceForbiddenAddress()
        if _is_literal(name) and not self.permits(name, port):
            raise SourceForbiddenAddress()

    def resolves(self, host: str) -> bool:
        """Whether a name may be looked up: any, since the answer is judged when it is dialled."""
        return True

    def resolve(self, host: str, port: int) -> list[str]:
        """Return the IP addresses of a host, all of them permitted.

        Raises:
            SourceForbiddenAddress: if any of them is not permitted, since the next
                lookup may put that one first.
            SourceUnreachable: if the name does not resolve.

        """
        name = ascii_host(host)
        try:
            found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise SourceUnreachable() from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not addresses or not all(self.permits(address, port) for address in addresses):
            raise SourceForbiddenAddress()
        return addresses

    def dial(self, host: str, port: int, timeout: float) -> socket.socket:
        """Resolve once, check, and connect to exactly the addresses that were checked.

        ``timeout`` is in seconds, for connecting to any of them and for each later read.
        """
        errors: list[OSError] = []
        deadline = time.monotonic() + timeout
        for address in self.resolve(host, port):
            try:
                left = max(0.001, deadline - time.monotonic())
                connection = socket.create_connection((address, port), left)
                connection.settimeout(timeout)
                return connection
            except OSError as error:
                errors.append(error)
        raise SourceUnreachable() from errors[-1]


def _split(url: str) -> tuple[SplitResult, str, int]:
    if len(url) > MAX_URL_CHARACTERS or any(ord(c) <= ord(" ") or ord(c) == 127 for c in url):
        raise SourceNotFound("That is not a web address.")
    try:
        parts = urlsplit(url)
        default = 443 if parts.scheme == "https" else 80
        port = default if parts.port is None else parts.port
    except ValueError as error:
        raise SourceNotFound("That is not a web address.") from error
    if not parts.scheme or not (parts.hostname or parts.scheme not in ("http", "https")):
        raise SourceNotFound("That is not a web address.")
    return parts, parts.hostname or "", port


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
