"""What is done by the clock and not by the readings: states to disk, losses into the ledger, caps, memory, a look at the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import count

from gateway import heap
from gateway.contract import Clock
from gateway.engine.lane import Lanes
from gateway.engine.watch import Watch
from gateway.outbox.insist import Damaged
from gateway.outbox.losses import Losses
from gateway.outbox.store import Outbox
from gateway.telemetry.wear import Wear

MINUTE = 60.0
ALIVE_MINUTES = 5
"""How far off the ledger may be when it says since when a gateway that was cut off did not run."""
_SETTLE_MINUTES = 60
"""And a minute after the start, when the drivers' libraries are there."""
_KEEP_CLOSED_NS = 90 * 86_400_000_000_000


class Upkeep:
    """`watches` are asked for each time; `files` is the executor for the disk."""

    def __init__(
        self,
        outbox: Outbox,
        losses: Losses,
        lanes: Lanes,
        watches: Callable[[], Sequence[Watch]],
        *,
        wear: Wear,
        files: Executor,
        clock: Clock,
    ) -> None:
        self._outbox, self._losses, self._lanes, self._watches = outbox, losses, lanes, watches
        self._wear, self._files, self._clock = wear, files, clock

    async def run(self) -> None:
        """Until cancelled."""
        await self._look()
        for minute in count(1):
            await self._clock.sleep(MINUTE)
            if not self._outbox.refused:  # the room that is left is not for states
                await self._lanes.save(self._watches(), all_of_them=False)
            await self._look()
            alive = minute % ALIVE_MINUTES == 0
            await self._outbox.tidy(self._losses, self._clock.now_ns() - _KEEP_CLOSED_NS, alive=alive)
            await self._outbox.keep_to_caps()
            if minute % _SETTLE_MINUTES == 1:
                heap.settle()
            heap.give_back()

    async def check(self) -> None:
        """The start had only a short look at the outbox. What is found here ends the process; the next start salvages."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="check")
        try:
            problem = await asyncio.get_running_loop().run_in_executor(thread, self._outbox.check)
        finally:
            thread.shutdown(wait=False)
        if problem is not None:
            raise Damaged(f"the outbox is damaged: {problem}; the next start salvages what can be read")

    async def _look(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._files, self._wear.look)
