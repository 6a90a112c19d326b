"""The story: what happens in the plant and to the uplink, and when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import aiohttp

from gateway.demo.children import ChildFailed
from gateway.demo.look import Look, Looker
from gateway.demo.plan import Plan
from gateway.demo.scene import STEPS, Scene
from gateway.demo.servers import Servers

POLL_SECONDS = 0.5
START_SECONDS = 60.0
SILENCE_SECONDS = 20.0
GRACE_SECONDS = 40.0
SEVERITY = 0.8


class Story:
    """Steers the plant and the inbox through the plan, and looks at what comes of it. The gateway is told nothing."""

    def __init__(self, plan: Plan, servers: Servers, looker: Looker, scene: Scene) -> None:
        self._plan, self._servers, self._looker, self._scene = plan, servers, looker, scene
        self.cut = (0.0, 0.0)

    async def follow(self) -> None:
        """Keep the scene's look fresh, for ever. Raises ChildFailed."""
        answered = time.monotonic()
        while True:
            self._servers.check()
            try:
                self._scene.look = await self._looker.look()
                answered = time.monotonic()
            except (aiohttp.ClientError, TimeoutError) as exc:
                if self._scene.step >= 0 and time.monotonic() - answered > SILENCE_SECONDS:
                    raise ChildFailed(f"the gateway or the inbox does not answer: {exc or type(exc).__name__}") from exc
            await asyncio.sleep(POLL_SECONDS)

    async def play(self) -> None:
        """The whole story; returns when its end was seen or waited for in vain."""
        plan, scene, plant, inbox = self._plan, self._scene, self._servers.plant, self._servers.inbox
        if not await self._seen(lambda look: look.up, START_SECONDS):
            raise ChildFailed(f"not every machine was read within {START_SECONDS:g} s: {_silent(scene.look)}; see gateway.log")
        scene.begin()
        await self._pass(plan.fault)
        scene.step = 1
        plant.tell("fault", "outer_race", SEVERITY, plan.growth)
        if await self._until(plan.cut, lambda look: any(case["spectrum"] for case in look.cases)):
            scene.step = 2
        else:
            scene.missed.add(2)
        await self._pass(plan.cut)
        scene.step, scene.cut = 3, True
        began = time.time()
        inbox.tell("cut")
        plant.tell("drift", "on", plan.oil_lag)
        await self._pass(plan.back)
        inbox.tell("back")
        self.cut = (began, time.time())
        scene.step, scene.cut = 4, False
        await self._pass(plan.repair)
        if not await self._until(plan.late_repair, lambda look: look.waiting == 0):
            scene.missed.add(4)
        plant.tell("repair")
        scene.step = 5
        await self._pass(plan.seconds)
        if not await self._until(plan.seconds + GRACE_SECONDS, _settled):
            scene.missed.add(5)
        scene.step = len(STEPS)

    async def _pass(self, second: float) -> None:
        await asyncio.sleep(max(0.0, second - self._scene.elapsed))

    async def _until(self, second: float, seen: Callable[[Look], bool]) -> bool:
        return await self._seen(seen, second - self._scene.elapsed)

    async def _seen(self, seen: Callable[[Look], bool], seconds: float) -> bool:
        """True as soon as the look shows it, False when it did not in time."""
        deadline = time.monotonic() + seconds
        while not seen(self._scene.look):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.1)
        return True


def _silent(look: Look) -> str:
    silent = [f"{source['name']} {source['why'] or source['state']}" for source in look.status.get("sources", []) if not source["readings"]]
    return ", ".join(silent) or "the gateway does not answer"


def _settled(look: Look) -> bool:
    """Every case closed, nothing on its way."""
    return look.waiting == 0 and bool(look.cases) and all(case["state"] == "closed" for case in look.cases)
