"""What the broker knows us by and we know of it, kept over restarts: client id, what its session is subscribed to, its version."""

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
        speaks = known.get("speaks")
        self._speaks: dict[str, str] = speaks if isinstance(speaks, dict) else {}
        if not same:
            self._write()

    def subscribed(self, filters: Iterable[str]) -> None:
        """Keep what the session is subscribed to."""
        if self.filters != (told := frozenset(filters)):
            self.filters = told
            self._write()

    def version(self, peer: str) -> str | None:
        """The version of the protocol this broker is known to speak, because it refused another."""
        return known if (known := self._speaks.get(peer)) in ("3.1.1", "5") else None

    def speaks(self, peer: str, version: str) -> None:
        """Keep what this broker speaks."""
        if self._speaks != (told := {peer: version}):
            self._speaks = told
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
        known = {"client_id": self.client_id, "filters": sorted(self.filters)} | ({"speaks": self._speaks} if self._speaks else {})
        with beside.open("w", encoding="utf-8") as file:
            json.dump(known, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
