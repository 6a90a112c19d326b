"""What the broker knows us by, kept over restarts: the client id, and what its session is subscribed to."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class Identity:
    """The file ``session.json`` in the source's own folder; one that cannot be read is begun anew.

    Raises OSError if the folder cannot be written.
    """

    def __init__(self, folder: Path, *, machine: str, client_id: str | None) -> None:
        self._path = folder / "session.json"
        known = self._read()
        made = f"lineside-{re.sub('[^0-9A-Za-z-]', '-', machine)[:48]}-{secrets.token_hex(4)}"
        self.client_id = client_id or str(known.get("client_id") or made)
        same = known.get("client_id") == self.client_id
        self.filters = frozenset(map(str, known.get("filters", ()))) if same else frozenset()
        if not same:
            self._write()

    def subscribed(self, filters: Iterable[str]) -> None:
        """Keep what the session is subscribed to."""
        if self.filters != (told := frozenset(filters)):
            self.filters = told
            self._write()

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        with beside.open("w", encoding="utf-8") as file:
            json.dump({"client_id": self.client_id, "filters": sorted(self.filters)}, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
