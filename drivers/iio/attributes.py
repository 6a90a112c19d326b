"""The files of one device in sysfs. Blocks."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.contract import NotConnected


class Attributes:
    """What is set already is not written: a device that root has set up needs no rights to write."""

    def __init__(self, path: Path, peer: str) -> None:
        self.path, self._peer = path, peer

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def names(self, pattern: str) -> list[str]:
        """Of the files that fit, relative to the device, sorted."""
        return sorted(str(path.relative_to(self.path)) for path in self.path.glob(pattern))

    def text(self, name: str) -> str:
        """Empty where there is none."""
        try:
            return (self.path / name).read_text().strip()
        except OSError:
            return ""

    def number(self, *names: str) -> float | None:
        """Of the first of these that is one."""
        for name in names:
            try:
                return float(self.text(name).split()[0])
            except (ValueError, IndexError):
                continue
        return None

    def ensure(self, name: str, value: str, *, at_least: bool = False) -> None:
        """Raises NotConnected as `write` does."""
        now = self.text(name)
        if now != value and not (at_least and now.isdigit() and int(now) >= int(value)):
            self.write(name, value)

    def write(self, name: str, value: str) -> None:
        """Raises NotConnected that says which file, what should be in it, and why it cannot be."""
        try:
            file = os.open(self.path / name, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
            try:
                os.write(file, value.encode())
            finally:
                os.close(file)
        except OSError as exc:
            why = (exc.strerror or str(exc)).lower()
            raise NotConnected(self._peer, f"{name} cannot be set to {value}: {why} (its README says how to give the rights)") from exc
