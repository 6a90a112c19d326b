"""MQTT QoS 1 in, stages, bank, one message in a hundred an event: committed and delivered, at rising rates."""

from __future__ import annotations

import asyncio
import json
import sys
import time

import nats

from benchmarks.gateway import Gateway, Sample
from benchmarks.loads.mqtt_publisher import TOPICS
from benchmarks.result import Result, Target, percentile
from gateway.testkit.servers.mqtt import Mosquitto
from gateway.testkit.servers.nats import NatsServer

RATES = (100, 1_000, 4_000, 8_000, 16_000, 20_000, 32_000)
SECONDS = 15.0
_EPOCH = "%Y-%m-%dT%H:%M:%S"


def config(broker: str, hub: str) -> str:
    tags = "".join(f'      t{i:02d}: {{topic: "bench/{i:02d}", value: "$.v", time: "$.ts", unit: degC}}\n' for i in range(TOPICS))
    return (
        f'machines:\n  line:\n    source: {{mqtt: "{broker}", version: "3.1.1"}}\n    tags:\n{tags}'
        "incidents: {clear_after: 0s, evidence: {before: 60s, after: 0s}}\n"
        "watch:\n"
        '  - limit: {on: "line/*", high: 70}\n'
        '  - anomaly: {on: "line/*", warm_up: 10m}\n'
        f'deliver:\n  hub: {{nats: "{hub}", stream: EVENTS, create_stream: true}}\n'
    )


class Arrivals:
    """Events as a consumer sees them: how long after the message was sent."""

    def __init__(self) -> None:
        self.milliseconds: list[float] = []

    async def take(self, message: object) -> None:
        now = time.time()
        text = message.headers["ce-time"]  # type: ignore[attr-defined]
        seconds = time.mktime(time.strptime(text[:19], _EPOCH)) - time.timezone + float(f"0{text[19:29]}")
        self.milliseconds.append((now - seconds) * 1e3)


async def step(gateway: Gateway, port: int, rate: int, arrivals: Arrivals) -> tuple[Sample, dict[str, int], list[float]]:
    """One rate; what the gateway did until everything that was sent had gone through."""
    arrivals.milliseconds = []
    before = await gateway.sample()
    publisher = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.loads.mqtt_publisher", str(port), str(rate), str(SECONDS), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await publisher.communicate()
    sent: dict[str, int] = json.loads(out)
    for _ in range(200):
        seen = await gateway.sample() - before
        if seen.counters["readings"] >= sent["sent"] and len(arrivals.milliseconds) >= seen.counters.get("events", 0):
            break
        await asyncio.sleep(0.1)
    return seen, sent, arrivals.milliseconds


async def run() -> list[Result]:
    """The gateway stays up over all rates, each with a fresh publisher."""
    facts: dict[str, object] = {}
    at: dict[int, tuple[Sample, dict[str, int], list[float]]] = {}
    broker, hub = Mosquitto(durable=False, extra="max_queued_messages 0"), NatsServer()
    await broker.start()
    await hub.start()
    try:
        async with Gateway(config(broker.url, hub.url)) as gateway:
            consumer, arrivals = await nats.connect(hub.url), Arrivals()
            await asyncio.sleep(2)
            await consumer.subscribe("evt.>", cb=arrivals.take)
            for rate in RATES:
                at[rate] = found = await step(gateway, broker.port, rate, arrivals)
                facts[f"{rate}/s"] = _facts(*found)
            facts["rss_mb"] = round(gateway.resident_mb())
            await consumer.close()
    finally:
        await hub.stop()
        await broker.stop()
    kept = [rate for rate in RATES if _kept_up(*at[rate])]
    main = at[20_000][0]
    # Of each rate by itself: what came twice at one must not hide what is missing at another.
    lost = sum(max(0, sent["sent"] - int(seen.counters["readings"])) for seen, sent, _ in at.values())
    return [
        Result(
            "MQTT QoS 1 → stages → bank → 1 % events, committed and delivered to JetStream",
            (
                Target("highest rate kept up with", max(kept, default=0), ">=", 20_000, "msg/s"),
                Target("CPU per 1,000 at 20,000/s", main.cpu / max(1.0, main.counters["readings"]) * 1e6, "<=", 30, "ms"),
                Target("p50 at 1,000/s", percentile(at[1_000][2], 0.5), "<=", 10, "ms"),
                Target("messages lost", lost, "<=", 0),
            ),
            facts,
            "ThingsBoard 4,400 msg/s, 220 ms, p50 310 ms; Node-RED 32,000/s without any disk, 29–56 ms, p50 1.3 ms",
        )
    ]


def _kept_up(seen: Sample, sent: dict[str, int], milliseconds: list[float]) -> bool:
    """Offered in time, all of it taken, every event delivered, and none later than a second at p99."""
    offered = sent["sent"] / SECONDS
    in_time = seen.at <= SECONDS + 2 and len(milliseconds) >= seen.counters.get("events", 0)
    return in_time and seen.counters["readings"] >= sent["sent"] and offered > 0 and percentile(milliseconds, 0.99) < 1000


def _facts(seen: Sample, sent: dict[str, int], milliseconds: list[float]) -> dict[str, float]:
    return {
        "sent": sent["sent"],
        "taken": int(seen.counters["readings"]),
        "steps": sent["steps"],
        "events": int(seen.counters.get("events", 0)),
        "delivered": len(milliseconds),
        "cpu_ms_per_1000": round(seen.cpu / max(1.0, seen.counters["readings"]) * 1e6, 1),
        "cpu_percent": round(seen.cpu / seen.at * 100),
        "p50_ms": round(percentile(milliseconds, 0.5), 1),
        "p99_ms": round(percentile(milliseconds, 0.99), 1),
    }
