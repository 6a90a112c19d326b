"""Births of edge nodes over our restarts: the file ``births.json`` in the source's own folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

VERSION = 1


class Memory:
    """One that cannot be read is begun anew. Raises OSError if the folder cannot be written."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "births.json"

    def load(self) -> dict[str, Any]:
        """What `save` was given last."""
        try:
            known = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        sound = isinstance(known, dict) and known.get("version") == VERSION and isinstance(known.get("nodes"), dict)
        return known["nodes"] if sound else {}

    def save(self, nodes: dict[str, Any]) -> None:
        """Whole or not at all."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        with beside.open("w", encoding="utf-8") as file:
            json.dump({"version": VERSION, "nodes": nodes}, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
