"""Sees that the event loop stands still, tells where, and interrupts who holds it if that is a driver.

A driver that computes for ever holds the whole gateway until systemd's watchdog ends it, and would hold it again after the start. So a
signal is raised in the main thread, and its handler raises `Stalled` there, under three conditions that make this sound: what runs belongs
to a source (a context variable, which tasks and callbacks inherit); the frame that is interrupted is neither of the core nor of Python's
own library, whose locks and queues must not be left half done; and between it and the pump, which is made for whatever a source raises,
there is nothing of the core. Otherwise it is tried again a moment later, and in the end left to the watchdog.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import traceback
from contextvars import ContextVar
from sys import _current_frames
from types import FrameType
from typing import Final

from gateway.telemetry.counts import Counts

log = logging.getLogger("lineside")
SECONDS = 8.0
"""Well below WatchdogSec=30."""
_LOOKS = 8
_FRAMES = 12
_FAREWELL_SECONDS = 1.0
_SIGNAL: Final = signal.SIGUSR2
_LIBRARY: Final = (os.path.dirname(os.__file__), "<frozen")
_PUMP, _CONTRACT, _CORE = "gateway.engine.pump", "gateway.contract", "gateway"

SOURCE: ContextVar[str] = ContextVar("SOURCE", default="")
"""For whom this code runs: the source's name; set by its task, inherited by all that comes of it."""


class Stalled(BaseException):
    """Raised inside a driver; no Exception, so that what the driver catches is not this."""


class Guard:
    """`run` in a task: its turns are what a thread watches."""

    def __init__(self, counts: Counts, *, seconds: float = SECONDS) -> None:
        self._counts, self._seconds = counts, seconds
        self._turns = 0
        self._stalled_at = -1
        self._over = threading.Event()

    async def run(self) -> None:
        """From the main thread; elsewhere a stall is only told."""
        main = threading.current_thread() is threading.main_thread()
        before = signal.signal(_SIGNAL, self._interrupt) if main else None
        thread = threading.Thread(target=self._watch, args=(threading.get_ident(), main), name="stall guard", daemon=True)
        thread.start()
        try:
            while True:
                await asyncio.sleep(self._seconds / _LOOKS)
                self._turns += 1
        finally:
            self._over.set()
            # A signal of it that nobody handles any more would end the process.
            thread.join(_FAREWELL_SECONDS)
            if main and not thread.is_alive():
                signal.signal(_SIGNAL, before or signal.SIG_DFL)

    def _watch(self, ident: int, main: bool) -> None:
        """In the thread. Counts looks, not time: a machine that slept has not stood still."""
        seen, looks = -1, 0
        while not self._over.wait(self._seconds / _LOOKS):
            turns = self._turns
            seen, looks = turns, (looks + 1 if turns == seen else 0)
            if looks < _LOOKS:
                continue
            if looks == _LOOKS:
                _tell(ident, self._seconds)
            self._stalled_at = turns
            if main:
                signal.pthread_kill(ident, _SIGNAL)

    def _interrupt(self, _number: int, frame: FrameType | None) -> None:
        """In the main thread, between two steps of whatever runs there."""
        name = SOURCE.get()
        if self._turns != self._stalled_at or not name or frame is None or not interruptible(frame):
            return
        self._stalled_at = -1
        self._counts.add("source_interrupted", 1, source=name)
        raise Stalled(f"was interrupted: it computed for {self._seconds:g} s without a pause")


def interruptible(frame: FrameType) -> bool:
    """Whether `frame` is a driver's, or its library's, with nothing of the core between it and the pump."""
    file = frame.f_code.co_filename
    if _module(frame) == _PUMP or (file.startswith(_LIBRARY) and "-packages" not in file):
        return False
    inner: FrameType | None = frame
    while inner is not None:
        module = _module(inner)
        if module == _PUMP or module.startswith("asyncio."):
            return True
        if module.split(".")[0] == _CORE and not module.startswith(_CONTRACT):
            return False
        inner = inner.f_back
    return True


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _tell(ident: int, seconds: float) -> None:
    frame = _current_frames().get(ident)
    lines = [f"{each.filename}:{each.lineno} {each.name}" for each in traceback.extract_stack(frame)[-_FRAMES:]] if frame else []
    log.error("the loop stands still", extra={"fields": {"seconds": seconds, "where": " < ".join(reversed(lines))}})
