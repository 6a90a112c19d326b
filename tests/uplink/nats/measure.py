"""CPU of this process per event sent: ``python tests/uplink/nats/measure.py [EVENTS]``.

Events of 600 bytes in batches of 200 to a real nats-server on loopback, file storage; no test, the figures of the README come from here.
"""

from __future__ import annotations

import asyncio
import sys
import time

from gateway import registry
from gateway.contract import OutcomeKind
from gateway.testkit.contexts import uplink_context
from gateway.testkit.rigs import event
from gateway.testkit.servers.nats import NatsServer

BATCH = 200


async def main(count: int) -> None:
    batches = [[event(number, data=b'"' + b"x" * 598 + b'"') for number in range(first, first + BATCH)] for first in range(0, count, BATCH)]
    plugin = registry.uplink("nats")
    async with NatsServer() as server:
        await server.create_stream()
        uplink = plugin.build(plugin.options.model_validate({"nats": server.url, "stream": "EVENTS"}), uplink_context())
        await uplink.connect()
        cpu, wall = time.process_time(), time.monotonic()
        for batch in batches:
            assert all(outcome.kind is OutcomeKind.SENT for outcome in await uplink.send(batch))
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        await uplink.close()
    print(f"{count} events: {cpu / count * 1e6:.1f} µs of CPU an event, {count / wall:.0f} events/s")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
