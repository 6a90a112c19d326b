"""An MES that posts numbered orders and repeats each until it is answered 202."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections import Counter

import aiohttp

TOKEN = "let-me-in"
_SECONDS = aiohttp.ClientTimeout(20)


class Mes:
    """taken    orders that were answered 202, with the loop's time of it
    undone     posts that were not, by status or ``broken``
    pause      seconds each sender waits between two orders
    """

    def __init__(self, port: int, *, senders: int = 4, pause: float = 0.02, host: str = "127.0.0.1") -> None:
        self.url = f"http://{host}:{port}/ingest/mes"
        self.taken: dict[str, float] = {}
        self.undone: Counter[str] = Counter()
        self.pause = pause
        self._senders, self._next = senders, 0
        self._open = False
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._open = True
        self._running = asyncio.create_task(self._run(), name="mes")

    def stop(self) -> None:
        """Nothing new."""
        self._open = False

    async def finish(self, seconds: float = 60.0) -> None:
        """Nothing new; what is not answered yet is repeated until it is."""
        self._open = False
        if self._running is not None:
            await asyncio.wait_for(self._running, seconds)

    async def bulk(self, orders: int, per_post: int = 500) -> None:
        """So many orders at once, in posts of `per_post`."""
        async with aiohttp.ClientSession(timeout=_SECONDS) as session:
            for first in range(0, orders, per_post):
                names = [f"A{self._next + n}" for n in range(1, min(per_post, orders - first) + 1)]
                self._next += len(names)
                while not await self._posted(session, *names):
                    await asyncio.sleep(0.1)
                self.taken |= dict.fromkeys(names, asyncio.get_running_loop().time())

    async def close(self) -> None:
        self._open = False
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        async with aiohttp.ClientSession(timeout=_SECONDS) as session, asyncio.TaskGroup() as tasks:
            for _ in range(self._senders):
                tasks.create_task(self._send(session))

    async def _send(self, session: aiohttp.ClientSession) -> None:
        while self._open:
            self._next += 1
            order = f"A{self._next}"
            while not await self._posted(session, order):
                await asyncio.sleep(0.1)
            self.taken[order] = asyncio.get_running_loop().time()
            await asyncio.sleep(self.pause)

    async def _posted(self, session: aiohttp.ClientSession, *orders: str) -> bool:
        headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": f"key-{orders[0]}", "Content-Type": "application/x-ndjson"}
        body = "".join(json.dumps({"order": order, "step": step_of(order)}) + "\n" for order in orders)
        try:
            async with session.post(self.url, data=body, headers=headers) as reply:
                if reply.status == 202:
                    return True
                self.undone[str(reply.status)] += 1
        except (aiohttp.ClientError, TimeoutError, OSError):
            self.undone["broken"] += 1
        return False


def step_of(order: str) -> str:
    """With a check of the order's number, so that the CRM sees what was changed on the way."""
    return f"milling-{zlib.crc32(order.encode()):08x}"
