"""Whole blocks of fast channels on the gateway's disk, beside the cases they are the evidence of: for some days, within a bound."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path

import numpy as np

from gateway.config.settings import IncidentSettings
from gateway.contract import Clock, Tag, Waveform
from gateway.telemetry.counts import Counts

log = logging.getLogger("lineside")
WAITING = 32
"""Blocks that may wait for the disk; beyond, further ones are not kept."""
_DAY = 86_400


class Blocks:
    """Files ``MACHINE.TAG.T_NS.npz`` that `lineside vibration` reads: x, fs, unit, t_ns and rpm if it is known.

    They are a copy for whoever looks closer, no part of what is delivered: no fsync, and what does not fit is counted, not raised.
    """

    def __init__(self, folder: Path, files: Executor, clock: Clock, counts: Counts) -> None:
        self._folder, self._files, self._clock, self._counts = folder, files, clock, counts
        self._given, self._done, self._refused = 0, 0, False  # each counted by one thread only

    def configure(self, settings: IncidentSettings, tags: Sequence[Tag]) -> None:
        """At the start and after a reload."""
        self._keep_seconds, self._max_bytes = settings.keep_blocks_days * _DAY, settings.blocks_megabytes << 20
        self._tags = tags

    def keep(self, blocks: Iterable[Waveform]) -> None:
        """Have them written beside the line; called in the loop."""
        if self._max_bytes == 0:
            return
        for block in blocks:
            if self._given - self._done >= WAITING:
                self._counts.add("waveforms_not_kept", 1, reason="queue_full")
                continue
            self._given += 1
            self._files.submit(self.write, self._tags[block.tag], block, self._clock.now_ns())

    def write(self, tag: Tag, block: Waveform, now_ns: int) -> None:
        """On the thread for files, where a leap of the clock comes in its turn. The oldest make room."""
        try:
            self._write(tag, block, now_ns)
            self._refused = False
        except OSError as exc:
            self._counts.add("waveforms_not_kept", 1, reason="disk")
            if not self._refused:
                log.error("blocks cannot be kept", extra={"fields": {"why": exc.strerror, "folder": str(self._folder)}})
            self._refused = True
        finally:
            self._done += 1

    def _write(self, tag: Tag, block: Waveform, now_ns: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{tag.machine}.{tag.name}.{block.t_ns}.npz"
        if path.exists():
            return
        found = _npz(tag, block)
        if not self._room(len(found), now_ns):
            self._counts.add("waveforms_not_kept", 1, reason="too_large")
            return
        temporary = path.with_suffix(".new")
        try:
            temporary.write_bytes(found)
            os.utime(temporary, ns=(now_ns, now_ns))
            temporary.replace(path)
        except OSError:
            with suppress(OSError):  # what is left of it would keep a full disk full
                temporary.unlink()
            raise

    def leap(self, delta_ns: int) -> None:
        """The gateway's clock was put right by so much: what is kept is no older than it was."""
        self._files.submit(self._age_as_before, delta_ns)

    def _age_as_before(self, delta_ns: int) -> None:
        for path in self._folder.glob("*.npz"):
            with suppress(OSError):
                written_ns = path.stat().st_mtime_ns + delta_ns
                os.utime(path, ns=(written_ns, written_ns))

    def _room(self, wanted: int, now_ns: int) -> bool:
        """Remove what is too old, and the oldest of the rest until this fits."""
        if wanted > self._max_bytes:
            return False
        known = sorted((stat.st_mtime_ns, stat.st_size, path) for path in self._folder.iterdir() for stat in (path.stat(),))
        oldest_ns, used = now_ns - int(self._keep_seconds * 1e9), sum(size for _, size, _ in known)
        for written_ns, size, path in known:
            if written_ns < oldest_ns or used + wanted > self._max_bytes:
                path.unlink()
                used -= size
        return True


def _npz(tag: Tag, block: Waveform) -> bytes:
    out = io.BytesIO()
    told = {"x": block.samples, "fs": np.array(block.rate_hz), "t_ns": np.array(block.t_ns), "unit": np.array(tag.options.unit)}
    if block.speed_rpm is not None:
        told["rpm"] = np.array(block.speed_rpm)
    np.savez(out, **told)  # type: ignore[arg-type]
    return out.getvalue()
