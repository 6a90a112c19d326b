"""The OPC UA driver alone, as the supervisor drives it but with the same short wait after every failure.

python -m benchmarks.loads.opcua_reader URL NODE COUNT: a line of JSON for each first reading after a connect; ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys

import numpy as np

from benchmarks.machine import resident_mb
from drivers.opcua import plugin
from gateway.contract import BAD, Batch, NotConnected
from gateway.testkit.contexts import source_context

WAIT_SECONDS = 0.5


async def read(url: str, node: str, count: int) -> None:
    tags = {f"v{i}": {"node": f"{node}{i}"} for i in range(count)}
    entry = {"security": "Basic256Sha256/SignAndEncrypt", "trust": "first_use", "publishing": "100ms"}
    source = plugin.build(plugin.options.model_validate({"opcua": url, **entry}), source_context(plugin, tags))
    print("ready", flush=True)
    while True:
        try:
            await source.connect()
            told = False
            while True:
                items = await source.read()
                if not told and isinstance(items, Batch) and bool(np.any(items.quality < BAD)):
                    told = True
                    print(json.dumps({"rss_mb": resident_mb(os.getpid())}), flush=True)
        except NotConnected:
            await source.close()
            await asyncio.sleep(WAIT_SECONDS)


async def main() -> None:
    reading = asyncio.create_task(read(sys.argv[1], sys.argv[2], int(sys.argv[3])))
    await asyncio.to_thread(sys.stdin.read)
    reading.cancel()


asyncio.run(main())
