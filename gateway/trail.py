"""What the gateway itself writes into the audit: never in the way of the line, counted when it cannot be written."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections import deque
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from gateway import __version__
from gateway.config.settings import Settings
from gateway.contract import Clock
from gateway.durable import sync
from gateway.outbox import audit_head
from gateway.outbox.audit import Bad, audit
from gateway.outbox.database import FILE_NAME
from gateway.outbox.store import Outbox
from gateway.telemetry.counts import Counts

log = logging.getLogger("lineside")
PENDING = "audit.pending"
"""Lines of commands that ran before there was an outbox, one JSON array each: [at_ns, who, what, name, before, after]."""
_MOST_WAITING = 1000
_RETRY_SECONDS = 2.0


class Note(NamedTuple):
    """A line that has no number yet."""

    at_ns: int
    who: str
    what: str
    name: str
    before: str
    after: str


class Trail:
    """Notes are taken at once and written soon; a disk that refuses them loses the newest beyond a bound, and says so."""

    def __init__(self, outbox: Outbox, folder: Path, files: Executor, counts: Counts, clock: Clock) -> None:
        self._outbox, self._folder, self._files, self._counts, self._clock = outbox, folder, files, counts, clock
        self._waiting: deque[Note] = deque()
        self._news = asyncio.Event()
        self._writing: asyncio.Task[bool] | None = None
        self._left = False  # what commands left is among what waits
        self.failing = ""
        """Why nothing can be written now; empty while it can."""
        self.broken: Bad | None = None
        """What is wrong with the chain, as far as its end tells."""

    def note(self, what: str, *, who: str = "the gateway", name: str = "", before: str = "", after: str = "") -> None:
        """One line."""
        if len(self._waiting) >= _MOST_WAITING:
            self._counts.add("audit_lost")
            return
        self._waiting.append(Note(self._clock.now_ns(), who, what, name, before, after))
        self._news.set()

    def started(self, settings: Settings) -> None:
        self.note("gateway started", name=f"version {__version__}", after=_of(settings))

    def reloaded(self, old: Settings, new: Settings, who: str) -> None:
        self.note("configuration loaded", who=who, name=str(new.path), before=_of(old), after=_of(new))

    async def open(self) -> None:
        """Take what commands left, and look whether the chain goes on where it ended."""
        loop = asyncio.get_running_loop()
        pending = await loop.run_in_executor(self._files, _pending, self._folder)
        self._waiting.extendleft(reversed(pending))
        self._left = bool(pending)
        await self._advance()
        if self.broken is None:
            with suppress(sqlite3.Error):
                await self._outbox.run(audit_head.remember)
            try:
                head = await loop.run_in_executor(self._files, audit_head.read, self._folder)
            except OSError:  # told above
                return
            if head is not None and head.number:
                # In the journal it is out of reach of whoever changes the outbox; `lineside audit verify --contains` looks for it.
                log.info("audit", extra={"fields": {"lines": head.number, "hash": head.hash}})

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting and not await self.flush():
                await self._clock.sleep(_RETRY_SECONDS)

    async def flush(self) -> bool:
        """Write what waits. False: the disk does not take it. Who is cancelled meanwhile does not have it written twice."""
        while self._writing is not None and not self._writing.done():
            await asyncio.shield(self._writing)
        self._writing = asyncio.create_task(self._write())
        return await asyncio.shield(self._writing)

    async def _write(self) -> bool:
        notes = list(self._waiting)
        if not notes:
            return True

        def operation(connection: sqlite3.Connection) -> None:
            for note in notes:
                audit(connection, who=note.who, what=note.what, name=note.name, before=note.before, after=note.after, now_ns=note.at_ns)

        try:
            await self._outbox.run(operation)
        except sqlite3.Error as exc:
            self._counts.add("audit_failed")
            if not self.failing:
                log.error("audit cannot be written", extra={"fields": {"why": str(exc), "lines": len(notes)}})
            self.failing = str(exc)
            return False
        for _ in notes:
            self._waiting.popleft()
        if self._left:
            self._left = False
            await asyncio.get_running_loop().run_in_executor(self._files, _forget_pending, self._folder)
        if self.failing:
            log.info("audit is written again", extra={"fields": {"lines": len(notes)}})
            self.failing = ""
        await self._advance()
        return True

    async def _advance(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            broken = await loop.run_in_executor(self._files, audit_head.advance, self._folder, self._folder / FILE_NAME)
        except (OSError, sqlite3.Error) as exc:
            self._counts.add("audit_failed")
            log.warning("audit head not written", extra={"fields": {"why": str(exc)}})
            return
        if broken is not None and self.broken is None:
            log.error("audit broken", extra={"fields": {"why": str(broken), "remedy": "lineside audit verify"}})
        self.broken = broken


def _of(settings: Settings) -> str:
    """Which configuration: the hash says it, whatever the file's name."""
    signed = f", signed by {settings.signed_by[:16]}" if settings.signed_by else ""
    return f"sha256 {settings.digest}{signed}"


def _pending(folder: Path) -> list[Note]:
    """What commands did before there was an outbox."""
    try:
        text = (folder / PENDING).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for line in text.splitlines():
        with suppress(ValueError, TypeError):
            note = Note(*json.loads(line))
            if isinstance(note.at_ns, int) and 0 <= note.at_ns < 2**63 and all(isinstance(text, str) for text in note[1:]):
                found.append(note)
    return found


def _forget_pending(folder: Path) -> None:
    """It is in the outbox. Killed before this, it is there twice: better than never."""
    with suppress(OSError):
        (folder / PENDING).unlink(missing_ok=True)
        sync(folder)
