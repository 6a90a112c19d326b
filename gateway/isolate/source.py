"""A source like any other, for whoever reads it; what it really is runs elsewhere."""

from __future__ import annotations

import asyncio
import logging
import pickle
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from gateway.contract import Answer, ConfigError, Health, Item, NotConnected, Posted, SecretRef, Severity, SourceContext, Trouble
from gateway.isolate import frames
from gateway.isolate.columns import Judge, from_json
from gateway.isolate.frames import Broken
from gateway.isolate.host import SHUT, Given
from gateway.isolate.process import BEATS, Ended, Process

log = logging.getLogger("lineside")
CLOSE_SECONDS = 3.0
LEAST_SECONDS = 0.002
MOST_BYTES_A_SECOND = 16 << 20
"""Reading is slowed down to this, so that a source that always has something leaves the loop to others."""
OFTEN, WITHIN_SECONDS = 3, 600.0
"""Stopped so often within this time is an incident."""
MOST_REASONS, MOST_DEVICES = 50, 2_000
_REASON = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """plugin           value of its entry point
    megabytes        of address space, beside what Python has taken
    silent_seconds   its loop may stand still for so long
    secrets          that its options name
    """

    plugin: str
    megabytes: int
    silent_seconds: float
    secrets: tuple[SecretRef, ...]


class IsolatedSource:
    """The process lives from the first `connect` to `end`, over connections that are lost; one that was stopped is started anew.

    ended   told the reason each time the process ended without being asked
    """

    def __init__(self, options: Any, context: SourceContext, isolation: Isolation, *, ended: Callable[[str], None]) -> None:
        self._options, self._context, self._isolation, self._ended = options, context, isolation, ended
        self._judge = Judge(context.tags, context.records)
        self._process: Process | None = None
        self._stops: deque[float] = deque(maxlen=OFTEN)
        self._built = self._told = False
        self._pause = 0.0
        self._reasons: set[str] = set()
        self._devices: set[tuple[str, str]] = set()
        self._numbers = count()
        self._posts: dict[int, asyncio.Future[Answer]] = {}

    async def connect(self) -> None:
        if not self._built or self._process is None or self._process.ended:
            self._built = False
            if self._process is not None:
                self._count(self._process)
            await self.end()
            await self._start()
            self._built = True
        secrets, missing = self._secrets()
        await self._ask(lambda number: frames.Connect(number, secrets, missing))

    async def read(self) -> list[Item]:
        await asyncio.sleep(self._pause)
        done, size = await self._ask(frames.Read)
        self._pause = max(LEAST_SECONDS, size / MOST_BYTES_A_SECOND)
        try:
            items = self._judge.items(done.items)
        except Broken as exc:
            assert self._process is not None  # noqa: S101  it has just answered
            self._process.kill("garbage", f"was stopped: it sent {exc}")
            raise self._stopped(self._process) from exc
        self._calm()
        return items

    async def close(self) -> None:
        """What does not close in time is ended; otherwise the process stays for the next `connect`."""
        process = self._process
        if process is None or process.ended or not self._built:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await process.ask(frames.Close)
        except (Ended, TimeoutError, OSError):
            process.kill("no_answer", "was stopped: it did not close")
            self._count(process)
        except Exception as exc:  # noqa: BLE001  `close` never raises; what a plugin's does is told
            log.warning("close failed", extra={"fields": {"source": self._context.name, "why": str(exc)}})
        self._shut()

    async def end(self) -> None:
        """The process is no more."""
        process, self._process = self._process, None
        self._shut()
        if process is not None:
            await process.end()

    async def around(self, run: Awaitable[None]) -> None:
        """`run` this source; its process ends with it."""
        try:
            await run
        finally:
            await self.end()

    async def _start(self) -> None:
        isolation, context = self._isolation, self._context
        given: Given = (self._options, context.name, context.tags, context.records, context.state_dir, context.pki)
        try:
            pickled = pickle.dumps(given)
        except (pickle.PicklingError, AttributeError, TypeError) as exc:
            raise ConfigError(f"its options cannot be handed to a process of its own ({exc}); write isolated: false") from exc
        self._devices.clear()
        self._process = process = Process(context.name, self._note, silent_seconds=isolation.silent_seconds)
        beat = isolation.silent_seconds / (2 * BEATS)
        try:
            await process.start()
            await self._ask(lambda _number: frames.Setup(isolation.plugin, pickled, isolation.megabytes, beat))
        except OSError as exc:
            raise NotConnected(context.name, f"its process does not start: {exc.strerror}") from exc
        except asyncio.CancelledError:
            process.kill("no_answer", "was stopped: it could not be built in time")
            self._count(process)
            raise
        process.watch()

    async def _ask(self, make: Callable[[int], frames.Down]) -> tuple[frames.Done, int]:
        process = self._process
        if process is None:
            raise NotConnected(self._context.name, "not connected")
        try:
            return await process.ask(make)
        except Ended as exc:
            raise self._stopped(process) from exc

    def _stopped(self, process: Process) -> NotConnected:
        self._count(process)
        assert process.ended is not None  # noqa: S101
        return NotConnected(self._context.name, process.ended.why)

    def _count(self, process: Process) -> None:
        """Once for each process that has ended. The log has it until it is an incident."""
        if process.ended is None or process.counted:
            return
        process.counted = True
        self._shut()
        if not self._told:
            log.warning("process ended", extra={"fields": {"source": self._context.name, "why": process.ended.why}})
        self._ended(process.ended.reason)
        now = self._context.clock.monotonic()
        self._stops.append(now)
        if len(self._stops) == OFTEN and now - self._stops[0] < WITHIN_SECONDS:
            self._told = True
            self._context.health(Health(trouble=Trouble.STOPPED, active=True, why=process.ended.why, severity=Severity.ERROR))

    def _calm(self) -> None:
        if self._told and self._context.clock.monotonic() - self._stops[-1] > WITHIN_SECONDS:
            self._told = False
            self._context.health(Health(trouble=Trouble.STOPPED, active=False))

    def _secrets(self) -> tuple[dict[str, str], dict[str, str]]:
        found: dict[str, str] = {}
        missing: dict[str, str] = {}
        for ref in self._isolation.secrets:
            try:
                found[ref.secret] = self._context.secret(ref)
            except ConfigError as exc:
                missing[ref.secret] = str(exc)
        return found, missing

    def _note(self, frame: frames.Up) -> None:
        """What it says without being asked. Raises Broken."""
        if isinstance(frame, frames.Dropped):
            self._dropped(frame)
        elif isinstance(frame, frames.Skipped):
            self._context.skipped(_number(frame.count))
        elif isinstance(frame, frames.Filled):
            self._context.filled(_number(frame.from_ns), _number(frame.to_ns), _number(frame.count))
        elif isinstance(frame, frames.Told):
            self._health(frame)
        elif isinstance(frame, frames.Serves):
            self._context.serve(self._post if frame.on else None)
        elif isinstance(frame, frames.Answered):
            answer = self._posts.get(frame.number)
            if answer is not None and not answer.done():
                answer.set_result(Answer(_status(frame.status), from_json(frame.body)))

    def _dropped(self, frame: frames.Dropped) -> None:
        self._reasons.add(frame.reason)
        if not _REASON.fullmatch(frame.reason) or len(self._reasons) > MOST_REASONS:
            raise Broken("a reason for a loss that is none")
        self._context.dropped(frame.reason, _number(frame.count))

    def _health(self, frame: frames.Told) -> None:
        self._devices.add((frame.trouble, frame.device))
        if len(self._devices) > MOST_DEVICES:
            raise Broken("more devices than a source has")
        facts: Any = from_json(frame.facts)
        try:
            trouble, severity = Trouble(frame.trouble), Severity(frame.severity)
        except ValueError as exc:
            raise Broken(f"a trouble nobody knows: {exc}") from exc
        if not isinstance(facts, Mapping) or trouble is Trouble.STOPPED:
            raise Broken("a trouble that is not its to tell")
        why, device = frame.why[:500], frame.device[:500]
        self._context.health(Health(trouble=trouble, active=frame.active, why=why, device=device, severity=severity, facts=facts))

    async def _post(self, posted: Posted) -> Answer:
        """Given down to the process; answered when it answers, or by us when it ends."""
        process = self._process
        if process is None or process.ended:
            return SHUT
        number, answer = next(self._numbers), asyncio.get_running_loop().create_future()
        self._posts[number] = answer
        try:
            process.send(frames.Post(number, posted.content_type, posted.body, posted.token, posted.key))
            found: Answer = await answer
        finally:
            del self._posts[number]
        return found

    def _shut(self) -> None:
        self._context.serve(None)
        for answer in self._posts.values():
            if not answer.done():
                answer.set_result(SHUT)


def _number(count: int) -> int:
    if not 0 <= count < 2**63:
        raise Broken("a number beyond all counting")
    return count


def _status(status: int) -> int:
    if not 200 <= status < 600:
        raise Broken(f"an HTTP status {status}")
    return status
