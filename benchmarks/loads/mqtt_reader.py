"""Reads what `mqtt_publisher` sends, by our driver or by paho's client, and decodes every message.

    python -m benchmarks.loads.mqtt_reader driver|paho URL QOS

Prints ``ready``, and when nothing came for a second {"messages", "seconds", "cpu"}; seconds from the first to the last.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec
import uvloop
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.loads.mqtt_publisher import TOPICS
from gateway import registry
from gateway.contract import Batch
from gateway.testkit.contexts import source_context

QUIET_SECONDS = 1.0


class Seen:
    """How many, and between when and when."""

    def __init__(self) -> None:
        self.messages = 0
        self.first = self.last = 0.0
        self._cpu = time.process_time()

    def add(self, count: int) -> None:
        self.last = time.perf_counter()
        if not self.messages:
            self.first, self._cpu = self.last, time.process_time()
        self.messages += count

    @property
    def over(self) -> bool:
        return self.messages > 0 and time.perf_counter() - self.last > QUIET_SECONDS

    def line(self) -> str:
        return json.dumps({"messages": self.messages, "seconds": self.last - self.first, "cpu": time.process_time() - self._cpu})


async def driver(url: str, qos: int) -> Seen:
    plugin, seen = registry.source("mqtt"), Seen()
    tags = {f"t{i:02d}": {"topic": f"bench/{i:02d}", "value": "$.v", "time": "$.ts"} for i in range(TOPICS)}
    source = plugin.build(plugin.options.model_validate({"mqtt": url, "qos": qos}), source_context(plugin, tags))
    await source.connect()
    print("ready", flush=True)
    while not seen.over:
        try:
            async with asyncio.timeout(QUIET_SECONDS):
                items = await source.read()
        except TimeoutError:
            continue
        seen.add(sum(len(item) for item in (items if isinstance(items, list) else [items]) if isinstance(item, Batch)))
    await source.close()
    return seen


class Payload(msgspec.Struct):
    """What is published."""

    ts: int
    v: float


def paho(url: str, qos: int) -> Seen:
    seen, decode, values = Seen(), msgspec.json.Decoder(Payload).decode, list[float]()
    client = Client(CallbackAPIVersion.VERSION2, manual_ack=True)

    def taken(client: Client, _userdata: object, message: Any) -> None:
        values.append(decode(message.payload).v)
        client.ack(message.mid, message.qos)
        seen.add(1)

    client.on_message = taken
    client.connect(urlsplit(url).hostname or "", urlsplit(url).port or 1883)
    client.subscribe("bench/#", qos)
    client.loop_start()
    print("ready", flush=True)
    while not seen.over:
        time.sleep(0.1)
    client.disconnect()
    client.loop_stop()
    return seen


if __name__ == "__main__":
    kind, url, qos = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if kind == "paho":
        print(paho(url, qos).line())
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(runner.run(driver(url, qos)).line())
