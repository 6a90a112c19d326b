"""Replay: a long CSV, 50 readings a second for a minute."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

from gateway import registry
from gateway.contract import Source
from gateway.testkit.contexts import source_context

_TAGS = ("oil_temperature", "oil_pressure")
_BEGIN_NS, _STEP_NS = 1_770_000_000_000_000_000, 20_000_000


class Rig:
    """`start` writes the file; what is recorded needs no stimulus."""

    can_be_dead = False
    tags = len(_TAGS)
    exempt: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        self._file = Path(tempfile.gettempdir()) / f"lineside-replay-{uuid4().hex}.csv"

    async def start(self) -> None:
        lines = [f"{_BEGIN_NS + i * _STEP_NS},{_TAGS[i % 2]},{50 + i % 7}" for i in range(3000)]
        self._file.write_text("\n".join(["time,tag,value", *lines]), encoding="utf-8")

    async def stop(self) -> None:
        self._file.unlink(missing_ok=True)

    def source(self) -> Source:
        return self._build(self._file)

    def dead_source(self) -> Source:
        return self._build(self._file.with_name("gone.csv"))

    async def stimulate(self) -> None:
        """Nothing: it is all recorded."""

    @staticmethod
    def _build(file: Path) -> Source:
        plugin = registry.source("replay")
        return plugin.build(plugin.options.model_validate({"replay": str(file)}), source_context(plugin, {name: {} for name in _TAGS}))
