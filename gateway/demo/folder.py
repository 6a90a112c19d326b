"""The demo's folder: configuration, secrets, logs and state of one run, left to look at; a new run begins it anew."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import IO

MARKER = ".lineside-demo"
_OURS = ("lineside.yaml", "ca.pem", "gateway.log", "plant.log", "inbox.log", "nats.log", "secrets", "state", "nats", "tmp")


class FolderRefused(Exception):
    """It holds something that is not ours, or another demo runs in it."""


class RunFolder:
    """Locked while it is open. Raises FolderRefused, OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        if self.path.is_dir() and any(self.path.iterdir()) and not (self.path / MARKER).is_file():
            raise FolderRefused(f"{path} is not empty and was not made by the demo; choose another with --folder")
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self.path / MARKER, path)
        for name in _OURS:
            _remove(self.path / name)
        for name in ("secrets", "nats", "tmp"):
            (self.path / name).mkdir(mode=0o700)
        # The test server of the CNC knows this one user.
        self._write_secret("cnc_password", "s3cret")
        self._write_secret("crm_token", secrets.token_urlsafe(24))

    def close(self) -> None:
        self._lock.close()

    def configure(self, values: Mapping[str, object]) -> Path:
        """Write lineside.yaml with the run's ports and addresses in it."""
        text = (files("gateway.demo") / "lineside.yaml").read_text(encoding="utf-8")
        for name, value in {**values, "folder": self.path}.items():
            text = text.replace(f"<{name}>", json.dumps(str(value))[1:-1])
        path = self.path / "lineside.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    def _write_secret(self, name: str, value: str) -> None:
        descriptor = os.open(self.path / "secrets" / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(value)


def _lock(marker: Path, path: Path) -> IO[str]:
    file = marker.open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        file.close()
        raise FolderRefused(f"another demo runs in {path}") from exc
    return file


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
