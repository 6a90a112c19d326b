"""How long an order takes from the post to its 202, one after the other: what everybody else feels of a fault."""

from __future__ import annotations

import json
import time
from typing import Self

import aiohttp

from rig.mes import TOKEN, step_of
from rig.plant import Plant


class Probe:
    """Keeps one connection. Its orders are in the MES's book; a post that is not answered 202 is one of `undone`."""

    def __init__(self, plant: Plant) -> None:
        self._plant, self._next = plant, 0
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30))
        self.undone = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def times(self, count: int) -> list[float]:
        """In seconds, the shortest first."""
        found: list[float] = []
        for _ in range(count):
            self._next += 1
            found.append(await self._post(f"P{self._next}"))
        return sorted(found)

    async def _post(self, order: str) -> float:
        began = time.monotonic()
        headers = {"Authorization": f"Bearer {TOKEN}", "Idempotency-Key": f"key-{order}", "Content-Type": "application/json"}
        document = json.dumps({"order": order, "step": step_of(order)})
        async with self._http.post(self._plant.mes.url, data=document, headers=headers) as reply:
            if reply.status == 202:
                self._plant.mes.taken[order] = time.monotonic()
            else:
                self.undone += 1
        return time.monotonic() - began


def high(times: list[float], share: float = 0.99) -> float:
    """
    >>> high([0.1, 0.2, 0.3, 0.4], 0.5)
    0.3
    """
    return times[min(len(times) - 1, int(len(times) * share))]
