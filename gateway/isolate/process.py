"""The process of one source, as the gateway sees it: started, listened to, asked, and ended without being asked."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gateway.contract import ConfigError, EndOfSource, LinesideError, NotConnected
from gateway.isolate import frames
from gateway.isolate.frames import Broken
from gateway.isolate.host import OUT_OF_MEMORY

log = logging.getLogger("lineside")
BEATS = 5
"""A loop that turns is heard so often within the time it may be silent."""
MOST_NOTES, NOTES_A_SECOND = 5_000, 200
"""Messages it may send beside its answers: at once, and in the long run. A large one counts as many of the largest note."""
_AT_ONCE = 50
_MOST_LINES_A_MINUTE = 20
_BOOT: Final = "import json, sys; sys.path[:] = json.loads(sys.argv[3]); from gateway.isolate import host; host.main(*sys.argv[1:3])"
_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
_ALLOCATION = {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", "PYTHONUNBUFFERED": "1"}


class Ended(Exception):
    """The process is no more. `reason` is for the counter, `why` for people."""

    def __init__(self, reason: str, why: str) -> None:
        super().__init__(why)
        self.reason, self.why = reason, why


class Failure(LinesideError):
    """The plugin raised what no plugin should; its traceback is in what the process said."""


class Process:
    """Methods raise Ended when it has gone.

    silent_seconds   its loop may stand still for so long; counted in turns of ours, so that a gateway that stood still itself ends nobody
    note             told what it sends without being asked; raises Broken for what cannot be meant
    """

    def __init__(self, name: str, note: Callable[[frames.Up], None], *, silent_seconds: float) -> None:
        self._name, self._note, self._silent_seconds = name, note, silent_seconds
        self._child: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._number = 0
        self._asked: tuple[int, asyncio.Future[tuple[frames.Done, int]]] | None = None
        self._ended: Ended | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._quiet = 0
        self.counted = False
        """Whether its end was told; for who asks it."""
        self._allowance, self._noted = float(MOST_NOTES), 0.0

    @property
    def ended(self) -> Ended | None:
        return self._ended

    async def start(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            child = self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-c", _BOOT, str(theirs.fileno()), str(os.getpid()), json.dumps(sys.path), f"source {self._name}"),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                env={key: os.environ[key] for key in _KEPT if key in os.environ} | _ALLOCATION,
            )
        self._reader, self._writer = await asyncio.open_connection(sock=ours, limit=1 << 20)
        works = self._listen(child), self._read_lines(child)
        self._tasks = [asyncio.create_task(work, name=f"process of {self._name}") for work in works]

    async def ask(self, make: Callable[[int], frames.Down]) -> tuple[frames.Done, int]:
        """(answer, its bytes). What the plugin raised is raised here; an answer nobody waits for any more is passed over."""
        if self._ended is not None:
            raise self._ended
        number = self._number
        answer: asyncio.Future[tuple[frames.Done, int]] = asyncio.get_running_loop().create_future()
        self._number += 1
        self._asked = number, answer
        try:
            self.send(make(number))
            return await answer
        finally:
            if self._asked is not None and self._asked[0] == number:
                self._asked = None

    def send(self, frame: frames.Down) -> None:
        assert self._writer is not None  # noqa: S101  started before it is asked
        self._writer.write(frames.pack(frame))

    def watch(self) -> None:
        """From now on its loop has to be heard."""
        self._tasks.append(asyncio.create_task(self._watch(), name=f"heartbeat of {self._name}"))

    def kill(self, reason: str, why: str) -> None:
        """At once, with whatever it has started itself; the first reason stands."""
        self._over(Ended(reason, why))
        if self._child is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)

    async def end(self) -> None:
        """It is gone when this returns."""
        self.kill("", "ended")
        if self._child is not None:
            await self._child.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()

    async def _listen(self, child: asyncio.subprocess.Process) -> None:
        try:
            while True:
                frame, size = await frames.next_up(self._reader, self._largest)
                self._quiet = 0
                self._take(frame, size)
                if int(self._allowance) % _AT_ONCE == 0:
                    await asyncio.sleep(0)  # what has come already is read without giving way to others
        except Broken as exc:
            self.kill("garbage", f"was stopped: it sent {exc}")
        except (asyncio.IncompleteReadError, ConnectionError):
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # what it has started may live on, and hold its pipe
            self._over(_how_it_ended(await child.wait()))
        finally:
            self.kill("garbage", "was stopped: what it sent could not be taken")  # unless there is a reason already

    def _largest(self) -> int:
        return frames.LARGEST_NOTE if self._asked is None else frames.LARGEST

    def _take(self, frame: frames.Up, size: int) -> None:
        answer = frame if isinstance(frame, frames.Done | frames.Failed) else None
        if answer is not None and self._asked is not None and self._asked[0] == answer.number:
            _settle(self._asked[1], answer, size)
            return
        now = asyncio.get_running_loop().time()
        earned = min(MOST_NOTES, self._allowance + (now - self._noted) * NOTES_A_SECOND)
        self._allowance, self._noted = earned - max(1, size // frames.LARGEST_NOTE), now
        if self._allowance < 0:
            self.kill("flood", "was stopped: it flooded the gateway with messages")
        elif answer is None and not isinstance(frame, frames.Beat):
            if size > frames.LARGEST_NOTE and not isinstance(frame, frames.Answered):
                raise Broken(f"a note of {size} bytes")
            self._note(frame)

    async def _watch(self) -> None:
        while self._quiet <= BEATS:
            self._quiet += 1
            await asyncio.sleep(self._silent_seconds / BEATS)
        self.kill("no_answer", f"was stopped: no answer for {self._silent_seconds:g} s")

    def _over(self, ended: Ended) -> None:
        if self._ended is None:
            self._ended = ended
        if self._asked is not None and not self._asked[1].done():
            self._asked[1].set_exception(self._ended)

    async def _read_lines(self, child: asyncio.subprocess.Process) -> None:
        """Standard output and error of the process, into our log, at most so many a minute."""
        assert child.stdout is not None  # noqa: S101  it was asked for
        loop, minute, lines = asyncio.get_running_loop(), -60.0, 0
        while text := await child.stdout.read(4096):
            if loop.time() - minute > 60:
                minute, lines = loop.time(), 0
            for line in text.decode("utf-8", "replace").splitlines():
                lines += 1
                if lines <= _MOST_LINES_A_MINUTE:
                    log.warning("says", extra={"fields": {"source": self._name, "text": line[:500]}})


def _how_it_ended(code: int) -> Ended:
    if code == OUT_OF_MEMORY:
        return Ended("memory", "was stopped: it wanted more memory than it may have")
    how = f"{signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return Ended("crashed", f"its process ended: {how}")


def _settle(answer: asyncio.Future[tuple[frames.Done, int]], frame: frames.Done | frames.Failed, size: int) -> None:
    if answer.done():
        return
    if isinstance(frame, frames.Done):
        answer.set_result((frame, size))
        return
    peer, why = frame.peer[:200], frame.why[:1000]
    errors = {"lost": NotConnected(peer, why, login=frame.login), "config": ConfigError(why), "end": EndOfSource(), "bug": Failure(why)}
    if frame.kind not in errors:
        raise Broken(f"an error of the kind {frame.kind[:20]!r}")
    answer.set_exception(errors[frame.kind])
