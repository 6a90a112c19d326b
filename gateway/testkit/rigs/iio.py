"""IIO: a fake sysfs and a FIFO, an accelerometer with two axes read as blocks and a temperature."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from shutil import rmtree
from typing import Any, ClassVar
from uuid import uuid4

import numpy as np

from gateway import registry
from gateway.contract import Source
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.iio import Accelerometer

_TAGS: dict[str, dict[str, Any]] = {
    "vibration_x": {"channel": "accel_x", "kind": "waveform", "unit": "m/s2"},
    "vibration_z": {"channel": "accel_z", "kind": "waveform", "unit": "m/s2"},
    "temperature": {"channel": "temp", "scale": 0.001, "unit": "degC"},
}
BLOCK = 160


class Rig:
    """`stimulate` puts one block of samples into the buffer, the first of them taken now. `stop` unplugs the sensor."""

    can_be_dead = True
    tags = len(_TAGS)
    exempt: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        self._root = Path(tempfile.gettempdir()) / f"lineside-iio-{uuid4().hex}"
        self._sensor = Accelerometer(self._root)

    async def start(self) -> None:
        self._sensor.start()

    async def stop(self) -> None:
        self._sensor.stop()
        rmtree(self._root, ignore_errors=True)

    def source(self) -> Source:
        return self._build("adxl345", _TAGS)

    def dead_source(self) -> Source:
        return self._build("unplugged", {})

    async def stimulate(self) -> None:
        period = 1e9 / 3200
        times = time.time_ns() + np.rint(np.arange(BLOCK) * period).astype(np.int64)
        self._sensor.sample(np.arange(BLOCK), z=-np.arange(BLOCK), t_ns=times)

    def _build(self, name: str, tags: dict[str, Any]) -> Source:
        plugin = registry.source("iio")
        options = {"iio": name, "root": str(self._root), "block": f"{BLOCK * 1000 // 3200}ms", "poll_seconds": 0.05}
        return plugin.build(plugin.options.model_validate(options), source_context(plugin, tags))
