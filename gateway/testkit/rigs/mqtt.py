"""MQTT: a broker, mosquitto if no other is given, with a number, a word, a block of samples and a business message."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np

from gateway import registry
from gateway.contract import Source
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.mqtt import Mosquitto, Publisher, require_mosquitto
from gateway.testkit.servers.ports import free_port

_TAGS: dict[str, dict[str, Any]] = {
    "speed": {"topic": "pumps/+/speed", "value": "$.rpm", "time": "$.ts", "unit": "rpm"},
    "state": {"topic": "pumps/3/state", "kind": "state", "states": {"RUN": 1, "STOP": 0}},
    "vibration_x": {"topic": "pumps/3/vib/x", "kind": "waveform", "format": "float32le", "rate_hz": 12000, "length": 64, "unit": "g"},
}
_RECORDS = {"order_step": {"topic": "mes/orders/+/step", "time": "$.at"}}


class Broker(Protocol):
    """Of `gateway.testkit.servers`; its address stays the same over restarts."""

    @property
    def url(self) -> str: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Rig:
    """`stimulate` publishes one message for each tag and one business message, QoS 1. Skips where mosquitto is not installed.

    options      of the source beside the address; its password is the secret ``broker``
    credentials  of the publisher: user, password, ca
    """

    can_be_dead = True
    tags = len(_TAGS)
    exempt: ClassVar[dict[str, str]] = {}

    def __init__(
        self, broker: Broker | None = None, *, options: Mapping[str, Any] | None = None, credentials: Mapping[str, Any] | None = None
    ) -> None:
        if broker is None:
            require_mosquitto()
        self._broker, self._dead, self._count = broker or Mosquitto(), free_port(), 0
        self._options, self._credentials = dict(options or {}), dict(credentials or {})
        self._publisher: Publisher | None = None

    async def start(self) -> None:
        await self._broker.start()
        self._publisher = Publisher(self._broker.url, **self._credentials)
        await self._publisher.connect()

    async def stop(self) -> None:
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            await publisher.close()
        await (self._broker.kill() if isinstance(self._broker, Mosquitto) else self._broker.stop())

    def source(self) -> Source:
        return self._build(self._broker.url)

    def dead_source(self) -> Source:
        scheme, _, rest = self._broker.url.partition("://")
        return self._build(f"{scheme}://{rest.partition(':')[0]}:{self._dead}")

    async def stimulate(self) -> None:
        assert self._publisher is not None, "the rig is not started"
        self._count += 1
        ms = time.time_ns() // 1_000_000
        samples = np.sin(np.arange(64) / 5 + self._count).astype("<f4")
        for topic, payload in (
            ("pumps/3/speed", json.dumps({"ts": ms, "rpm": 1480 + self._count}).encode()),
            ("pumps/3/state", b"RUN"),
            ("pumps/3/vib/x", samples.tobytes()),
            ("mes/orders/4711/step", json.dumps({"at": ms, "order": "4711", "step": self._count}).encode()),
        ):
            await self._publisher.publish(topic, payload, qos=1)

    def _build(self, url: str) -> Source:
        plugin = registry.source("mqtt")
        options = plugin.options.model_validate({"mqtt": url, "keepalive": "4s"} | self._options)
        secrets = {"broker": str(self._credentials.get("password", ""))}
        return plugin.build(options, source_context(plugin, _TAGS, records=_RECORDS, secrets=secrets))
