"""File drop: a folder, as a share that can be pulled, and a writer that renames what is complete."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from gateway import registry
from gateway.contract import Source
from gateway.testkit.contexts import source_context

_TAGS: dict[str, dict[str, Any]] = {
    "temperature": {"value": "Temp. °C", "unit": "degC"},
    "running": {"kind": "state", "states": {"RUN": 1}},
}
_RECORDS: dict[str, dict[str, Any]] = {"batch": {"numbers": ["pieces"]}}


class Rig:
    """`stimulate` drops one CSV of two rows. `stop` takes the folder away at once; `start` brings an empty one."""

    can_be_dead = True
    tags = len(_TAGS)
    exempt: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        self.folder = Path(tempfile.gettempdir()) / f"lineside-files-{uuid4().hex}"
        self._count = 0

    async def start(self) -> None:
        self.folder.mkdir()

    async def stop(self) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder.rename(self.folder.with_name(f"{self.folder.name}-pulled")))

    def source(self, *, tags: dict[str, Any] | None = None, records: dict[str, Any] | None = None, **more: Any) -> Source:
        plugin = registry.source("files")
        context = {key: more.pop(key) for key in ("state_dir", "told", "clock", "lost") if key in more}
        given = {"files": str(self.folder), "pattern": "*", "settle": "0s", "poll_seconds": 0.01, "time": "at"} | more
        specs = source_context(plugin, _TAGS if tags is None else tags, records=_RECORDS if records is None else records, **context)
        return plugin.build(plugin.options.model_validate(given), specs)

    def dead_source(self) -> Source:
        plugin = registry.source("files")
        options = plugin.options.model_validate({"files": str(self.folder.with_name("never-mounted"))})
        return plugin.build(options, source_context(plugin, {}))

    async def stimulate(self) -> None:
        self._count += 1
        at = time.time_ns() // 1_000_000
        self.drop(f"{self._count:06d}.csv", f"at;Temp. °C;running;pieces\n{at};21.5;RUN;3\n{at + 1};21.6;RUN;4\n")

    def drop(self, name: str, content: str | bytes) -> Path:
        """Written beside and renamed, as a careful system does."""
        fresh, path = self.folder / ".tmp", self.folder / name
        fresh.write_bytes(content if isinstance(content, bytes) else content.encode())
        return fresh.rename(path)
