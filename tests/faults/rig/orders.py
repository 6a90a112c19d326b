"""A line's controller that publishes numbered orders over MQTT, and repeats each until the broker has acknowledged it."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from datetime import UTC, datetime

from gateway.testkit.servers.mqtt import Publisher
from rig.mes import step_of


class Orders:
    """taken   orders the broker has acknowledged, with the loop's time of it; QoS 0: that went out
    prefix     of their numbers, so that two of these do not meet in one ledger
    """

    def __init__(self, url: str, *, topic: str = "line/order", prefix: str = "M", qos: int = 1, pause: float = 0.02) -> None:
        self.taken: dict[str, float] = {}
        self._publisher, self._topic, self._prefix, self._qos, self._pause = Publisher(url), topic, prefix, qos, pause
        self._open, self._next = False, 0
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._publisher.connect()
        self._open = True
        self._running = asyncio.create_task(self._run(), name="orders")

    async def finish(self, seconds: float = 30.0) -> None:
        """Nothing new; what is not acknowledged yet is waited for."""
        self._open = False
        if self._running is not None:
            await asyncio.wait_for(self._running, seconds)

    async def close(self) -> None:
        self._open = False
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
        await self._publisher.close()

    async def _run(self) -> None:
        while self._open:
            self._next += 1
            order = f"{self._prefix}{self._next}"
            payload = json.dumps({"order": order, "step": step_of(order), "at": datetime.now(UTC).isoformat()})
            await self._publisher.publish(self._topic, payload.encode(), self._qos)
            self.taken[order] = time.monotonic()
            await asyncio.sleep(self._pause)
