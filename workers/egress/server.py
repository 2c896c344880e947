"""The proxy itself: reads one request from each connection, judges it, and passes bytes on."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus

import structlog

from app.settings.sections import EgressSettings
from ml.source.addresses import AddressPolicy
from ml.source.route import REFUSED
from workers.egress.errors import Failed, Full, NotServed, Refused
from workers.egress.heads import MAX_HEAD_BYTES, Request, parse_request, parse_response, write
from workers.egress.outbound import Outbound, Stream, Upstream
from workers.egress.relay import Counted, Idle, relay

HEAD_SECONDS = 10.0
"""How long a client may take to say what it wants."""
CLOSE_SECONDS = 5.0
"""How long a client may take to read the end of what was sent."""
LINGER_SECONDS = 1.0
"""How long a client that is turned away may go on to talk."""
_MAX_INTERIM = 5
"""Answers such as 103 that may come before the real one."""
_END = b"\r\n\r\n"
log = structlog.get_logger(__name__)


def _short(status: HTTPStatus, *headers: tuple[str, str]) -> bytes:
    body = f"{status.phrase}\n"
    return (
        write(
            f"HTTP/1.1 {status.value} {status.phrase}",
            [
                ("content-type", "text/plain"),
                ("content-length", f"{len(body)}"),
                *headers,
                ("connection", "close"),
            ],
        )
        + body.encode()
    )


ANSWERS: dict[type[NotServed], bytes] = {
    Refused: _short(HTTPStatus.FORBIDDEN, ("proxy-status", f"emotion-clf; error={REFUSED}")),
    Failed: _short(HTTPStatus.BAD_GATEWAY),
    Full: _short(HTTPStatus.SERVICE_UNAVAILABLE),
}
"""The same for every reason, so that nobody learns what is inside."""
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


@dataclass(slots=True)
class _Record:
    """What the log says of one connection."""

    began: float = field(default_factory=time.monotonic)
    host: str | None = None
    port: int | None = None
    verdict: str = "served"
    reason: str | None = None
    bytes: Counted = field(default_factory=Counted)

    def write(self) -> None:
        log.info(
            "egress.connection",
            host=self.host,
            port=self.port,
            verdict=self.verdict,
            reason=self.reason,
            sent=self.bytes.sent,
            received=self.bytes.received,
            ms=round((time.monotonic() - self.began) * 1000),
        )


class EgressProxy:
    """Serves connections; see the ``egress`` section of the settings."""

    def __init__(self, settings: EgressSettings, policy: AddressPolicy) -> None:
        self._settings = settings
        self._policy = policy
        self._outbound = Outbound(policy, Upstream.parse(settings.upstream))
        self._connections: set[asyncio.Task[None]] = set()

    async def listen(self) -> asyncio.Server:
        """Accept connections; raise OSError where that is not possible."""
        return await asyncio.start_server(
            self._accept, self._settings.host, self._settings.port, limit=MAX_HEAD_BYTES
        )

    async def drain(self, seconds: float) -> None:
        """Let open connections come to their end, or end those that take longer."""
        if self._connections:
            await asyncio.wait(self._connections, timeout=seconds)
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._outbound.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        full = len(self._connections) >= self._settings.connections
        # Those that are turned away take nobody's place.
        if not full:
            self._connections.add(task)
        try:
            async with _closing(writer):
                await self._serve((reader, writer), full)
        finally:
            self._connections.discard(task)

    async def _serve(self, client: Stream, full: bool) -> None:
        record = _Record()
        try:
            if full:
                raise Full("connections")
            request = await self._read_request(client[0])
            if request is None:
                return
            record.host, record.port = request.host, request.port
            await self._pass_on(request, client, record)
        except NotServed as reason:
            record.verdict, record.reason = reason.verdict, reason.reason
            record.host = record.host or reason.host
            record.port = record.port or reason.port
            await _answer(client, ANSWERS[type(reason)])
        except OSError:
            record.verdict, record.reason = "failed", "client"
        record.write()

    async def _read_request(self, reader: asyncio.StreamReader) -> Request | None:
        """Return what the client wants; None if it went away without a word."""
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                return parse_request(await reader.readuntil(_END), self._policy)
        except asyncio.IncompleteReadError as error:
            if not error.partial:
                return None
            raise Refused("malformed") from error
        except (asyncio.LimitOverrunError, TimeoutError) as error:
            raise Refused("malformed") from error

    async def _pass_on(self, request: Request, client: Stream, record: _Record) -> None:
        server = await self._outbound.open(request.host, request.port)
        async with _closing(server[1]):
            if request.method == "CONNECT":
                client[1].write(_ESTABLISHED)
            else:
                await self._exchange_heads(request, client, server, record.bytes)
            async with Idle(self._settings.idle_seconds) as idle:
                both_ways = request.method == "CONNECT"
                await relay(client, server, idle, record.bytes, both_ways=both_ways)

    async def _exchange_heads(
        self, request: Request, client: Stream, server: Stream, counted: Counted
    ) -> None:
        """Send the request and pass the head of the answer on."""
        try:
            server[1].write(request.head)
            counted.sent += len(request.head)
            async with asyncio.timeout(self._settings.idle_seconds):
                for _ in range(_MAX_INTERIM):
                    status, head = parse_response(await server[0].readuntil(_END))
                    if status >= HTTPStatus.OK:
                        break
                else:
                    raise Failed("malformed")
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            raise Failed("broke off") from error
        client[1].write(head)


async def _answer(client: Stream, answer: bytes) -> None:
    """Send an answer and hear the client out, since closing on unread bytes would take it back."""
    reader, writer = client
    with contextlib.suppress(OSError):
        writer.write(answer)
        writer.write_eof()
        async with asyncio.timeout(LINGER_SECONDS):
            while await reader.read(MAX_HEAD_BYTES):
                pass


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Close a connection in the end, and do not wait for ever until the other side has read all."""
    try:
        yield
        with contextlib.suppress(OSError):
            writer.close()
            async with asyncio.timeout(CLOSE_SECONDS):
                await writer.wait_closed()
    finally:
        writer.transport.abort()
