"""Time limits, which are shorter here than operators would want them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from unittest.mock import ANY

import pytest
import structlog

from app.settings.sections import EgressSettings
from ml.source.addresses import AddressPolicy
from workers.egress import outbound, server
from workers.egress.errors import Refused

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


def answer_to(policy: AddressPolicy, client: Client) -> bytes:
    """Return what a client heard from a proxy in this process."""

    async def run() -> bytes:
        proxy = server.EgressProxy(EgressSettings(port=0), policy)
        async with await proxy.listen() as listening:
            reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
            heard = await client(reader, writer)
            writer.close()
            await proxy.drain(5)
            return heard

    return asyncio.run(run())


def test_who_does_not_say_what_it_wants_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "HEAD_SECONDS", 0.1)

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"GET http://exam")
        return await reader.read()

    with structlog.testing.capture_logs() as logs:
        assert answer_to(AddressPolicy(), drip) == server.ANSWERS[Refused]
    assert logs == [
        {
            "event": "egress.connection", "log_level": "info", "host": None, "port": None,
            "verdict": "refused", "reason": "malformed", "sent": 0, "received": 0, "ms": ANY,
        }
    ]  # fmt: skip


def test_who_says_nothing_leaves_no_trace() -> None:
    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write_eof()
        return await reader.read()

    with structlog.testing.capture_logs() as logs:
        assert answer_to(AddressPolicy(), leave) == b""
    assert logs == []


def test_a_lookup_that_hangs_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "LOOKUP_SECONDS", 0.1)
    over = threading.Event()

    class Hanging(AddressPolicy):
        def resolve(self, host: str, port: int) -> list[str]:
            over.wait(20)
            return ["8.8.8.8"]

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"GET http://example.com/ HTTP/1.1\r\n\r\n")
        heard = await reader.read()
        over.set()
        return heard

    assert answer_to(Hanging(), ask) == server.ANSWERS[Refused]


def test_what_still_runs_after_the_grace_is_cut_off() -> None:
    async def run() -> None:
        proxy = server.EgressProxy(EgressSettings(port=0), AddressPolicy())
        async with await proxy.listen() as listening:
            reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
            writer.write(b"GET ")
            await writer.drain()
            await asyncio.sleep(0.1)
            await proxy.drain(0.1)
            assert await reader.read() == b""
            writer.close()

    asyncio.run(run())
