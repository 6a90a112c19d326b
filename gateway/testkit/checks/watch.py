"""What the batteries look at from outside: I/O that is done, and what is left over afterwards."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)
_IO = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen", "os.posix_spawn", "open")
LEFT_SECONDS = 5.0
_INSTALLED = (sys.prefix, sys.base_prefix)  # code and entry points: a rig asks the registry for its plugin
_seen: list[tuple[int, list[str]]] = []
_hooked = False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    for thread, found in _seen:
        if event in _IO and threading.get_ident() == thread and not (event == "open" and str(arguments[0]).startswith(_INSTALLED)):
            found.append(f"{event} {arguments[:2]!r}")


@contextmanager
def io_done() -> Iterator[list[str]]:
    """Files opened, names looked up, sockets connected, processes started by this thread inside the block (PEP 578)."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_audit)
        _hooked = True
    entry: tuple[int, list[str]] = (threading.get_ident(), [])
    _seen.append(entry)
    try:
        yield entry[1]
    finally:
        _seen.remove(entry)


def sockets() -> set[str]:
    """Open sockets of this process, by inode."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def threads() -> set[threading.Thread]:
    """Threads but those of asyncio's default executor, which live as long as the loop."""
    return {thread for thread in threading.enumerate() if not thread.name.startswith(("asyncio_", "ThreadPoolExecutor"))}


@dataclass
class Left:
    """Takes stock when made; `nothing` waits until all that came since is gone.

    The real peer may run in this process too: its ends of the connections must go as well, which needs a moment.
    """

    tasks: set[asyncio.Task[Any]] = field(default_factory=asyncio.all_tasks)
    sockets: set[str] = field(default_factory=sockets)
    threads: set[threading.Thread] = field(default_factory=threads)

    def over(self) -> list[str]:
        """What is there now and was not there then."""
        tasks = {task for task in asyncio.all_tasks() if not task.done()} - self.tasks - {asyncio.current_task()}
        return [*(repr(task) for task in tasks), *sorted(sockets() - self.sockets), *(repr(t) for t in threads() - self.threads)]

    async def nothing(self) -> None:
        await until(lambda: not self.over(), LEFT_SECONDS, lambda: f"left behind: {self.over()}")


async def until(holds: Callable[[], bool], within: float, why: Callable[[], str]) -> None:
    """Poll a condition; raises AssertionError with `why()` after `within` seconds."""
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end, why()
        await asyncio.sleep(0.01)


async def raised(kind: type[E], doing: Awaitable[object], within: float) -> E:
    """The exception; raises AssertionError when there is none, another, or it takes longer than `within` seconds."""
    try:
        async with asyncio.timeout(within):
            got = await doing
    except kind as exc:
        return exc
    except TimeoutError:
        raise AssertionError(f"no {kind.__name__} within {within:g} s") from None
    except Exception as exc:
        raise AssertionError(f"{exc!r} instead of {kind.__name__}") from exc
    raise AssertionError(f"{got!r} instead of {kind.__name__}")


async def in_time(doing: Awaitable[T], within: float, what: str) -> T:
    """The result; raises AssertionError when it takes longer."""
    try:
        async with asyncio.timeout(within):
            return await doing
    except TimeoutError:
        raise AssertionError(f"{what} took longer than {within:g} s") from None
