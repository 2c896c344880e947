"""Connections to the outside: one lookup, one judgement, and exactly those addresses dialled."""

from __future__ import annotations

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

from ml.errors import SettingInvalid, SourceForbiddenAddress, SourceUnreachable
from ml.source.addresses import AddressPolicy
from workers.egress.errors import Failed, Refused
from workers.egress.heads import MAX_HEAD_BYTES

LOOKUP_SECONDS = 15.0
CONNECT_SECONDS = 10.0
MAX_ADDRESSES = 4
"""Addresses of one name that are tried, one after the other."""
_LOOKUPS = 32
"""Names that are looked up at the same time."""

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Upstream:
    """Another HTTP proxy, which is asked for tunnels to addresses that were checked here."""

    host: str
    port: int
    authorization: str = field(default="", repr=False)
    """The header that it wants, with its line end; empty for none."""

    @classmethod
    def parse(cls, url: str | None) -> Self | None:
        """Read the setting; raise :class:`SettingInvalid`."""
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            port = 80 if parts.port is None else parts.port
            if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
                raise ValueError
        except ValueError as error:
            # Not shown: it may hold a password.
            raise SettingInvalid(
                "egress.upstream is set to something else (not shown); "
                "allowed: http://host:port or http://user:password@host:port."
            ) from error
        if parts.username is None:
            return cls(parts.hostname, port)
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        coded = base64.b64encode(credentials.encode()).decode()
        return cls(parts.hostname, port, f"Proxy-Authorization: Basic {coded}\r\n")

    async def tunnel(self, address: str, port: int) -> Stream:
        """Return a tunnel to an IP address; raise OSError or EOFError."""
        stream = await _connect(self.host, self.port)
        target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        reader, writer = stream
        try:
            writer.write(
                f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{self.authorization}\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            if head.split(maxsplit=2)[1:2] != [b"200"]:
                raise ConnectionRefusedError("the upstream opens no tunnel")
        except BaseException:
            writer.transport.abort()
            raise
        return stream


class Outbound:
    """Opens connections by the address policy."""

    def __init__(self, policy: AddressPolicy, upstream: Upstream | None) -> None:
        self._policy = policy
        self._upstream = upstream
        self._lookups = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="lookup")

    async def open(self, host: str, port: int) -> Stream:
        """Return a connection to a host.

        Raises:
            Refused: one of its addresses is not permitted, or nobody could say what they are.
            Failed: none of them answers.

        """
        for address in (await self._resolve(host, port))[:MAX_ADDRESSES]:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await self._dial(address, port)
            except (OSError, EOFError, asyncio.LimitOverrunError):
                continue
        raise Failed("unreachable")

    async def _dial(self, address: str, port: int) -> Stream:
        if self._upstream:
            return await self._upstream.tunnel(address, port)
        return await _connect(address, port)

    async def _resolve(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                return await loop.run_in_executor(self._lookups, self._policy.resolve, host, port)
        except SourceForbiddenAddress as error:
            raise Refused("address") from error
        except (TimeoutError, SourceUnreachable) as error:
            raise Refused("lookup") from error

    def close(self) -> None:
        """Look nothing up any more."""
        self._lookups.shutdown(wait=False, cancel_futures=True)


async def _connect(host: str, port: int) -> Stream:
    return await asyncio.open_connection(host, port, limit=MAX_HEAD_BYTES)
