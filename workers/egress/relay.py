"""Bytes from one connection to another, as fast as the slower of them, until nothing comes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from workers.egress.outbound import Stream

_CHUNK_BYTES = 65_536


@dataclass(slots=True)
class Counted:
    """Bytes that were passed on."""

    sent: int = 0
    """To the server."""
    received: int = 0
    """From the server."""


class Idle:
    """Ends what runs inside it when :meth:`moved` was not called for some seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(seconds)

    def moved(self) -> None:
        """Start to count anew."""
        if not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._seconds)

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        try:
            await self._timeout.__aexit__(kind, error, traceback)
        except TimeoutError:
            return True
        return False


async def relay(
    client: Stream, server: Stream, idle: Idle, counted: Counted, *, both_ways: bool
) -> None:
    """Pass bytes on until both sides, or the server if not ``both_ways``, have said all."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_down(client, server, idle, counted))
            if both_ways:
                group.create_task(_up(client, server, idle, counted))
    except* OSError:
        pass  # Either side may break off; the other sees the end of its connection.


async def _up(client: Stream, server: Stream, idle: Idle, counted: Counted) -> None:
    while data := await client[0].read(_CHUNK_BYTES):
        idle.moved()
        counted.sent += len(data)
        server[1].write(data)
        await server[1].drain()
    server[1].write_eof()


async def _down(client: Stream, server: Stream, idle: Idle, counted: Counted) -> None:
    while data := await server[0].read(_CHUNK_BYTES):
        idle.moved()
        counted.received += len(data)
        client[1].write(data)
        await client[1].drain()
    client[1].write_eof()
