"""Events per second through `send` to a receiver in the same process: ``python tests/uplink/https/measure.py [SECONDS]``.

Batches of 200 incidents, as CloudEvents and as the preset `salesforce` maps them; no test, the figures of the README come from here.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from gateway.contract import OutcomeKind
from gateway.testkit.posting import Bench, incident
from gateway.testkit.servers.crm import Answer, Seen, Site
from gateway.uplink.https import presets

BATCH = 200


class Sink(Site):
    """Takes everything and keeps nothing."""

    async def answer(self, seen: Seen) -> Answer:
        self.seen.clear()
        return Answer(204)


async def measure(name: str, seconds: float, **options: Any) -> None:
    events = [incident(number, machine=f"machine-{number % 20}") for number in range(BATCH)]
    async with Sink() as sink:
        uplink = await Bench().uplink(sink.url, **options)
        count, wall, cpu = 0, time.monotonic(), time.process_time()
        while time.monotonic() - wall < seconds:
            assert all(outcome.kind is OutcomeKind.SENT for outcome in await uplink.send(events))
            count += BATCH
        wall, cpu = time.monotonic() - wall, time.process_time() - cpu
        await uplink.close()
    print(f"{name}: {count / wall:.0f} events/s, {cpu / count * 1e6:.0f} µs of CPU an event with the receiver's")


async def main(seconds: float) -> None:
    await measure("CloudEvents, batch", seconds, mode="batch")
    await measure("CloudEvents, one each", seconds, mode="structured", concurrency=8)
    await measure("as salesforce maps them", seconds, body=presets.read("salesforce")["variants"]["event"]["body"])


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 5.0))
