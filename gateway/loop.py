"""The event loop: what waits for names has threads of its own, so that nothing else waits behind a dead name server.

A name server that does not answer holds a thread for 20 s (twice 5 s for each of two servers, resolv.conf(5)), and nothing can call it
back. asyncio would use its default executor for that, where file access waits, too. uvloop resolves names in libuv's own threads.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
FILE_THREADS = 8
NAME_THREADS = 32
"""A name that is in /etc/hosts, or known to a nearer server, shall not wait behind others: as many as there are links, mostly."""


class Names(Executor):
    """Bounded threads that nobody waits for at the end: the process ends although a lookup does not."""

    def __init__(self, threads: int = NAME_THREADS) -> None:
        self._free = threads
        self._waiting: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()

    def submit(self, call: Callable[P, T], /, *args: P.args, **named: P.kwargs) -> Future[T]:
        """Called in the loop."""
        future: Future[T] = Future()
        self._waiting.put((future, lambda: call(*args, **named)))
        if self._free:
            self._free -= 1
            threading.Thread(target=self._run, name="names", daemon=True).start()
        return future

    def _run(self) -> None:
        while True:
            future, call = self._waiting.get()
            if not future.set_running_or_notify_cancel():  # whoever asked has given up
                continue
            try:
                future.set_result(call())
            except OSError as exc:
                future.set_exception(exc)


class Loop(asyncio.SelectorEventLoop):
    """asyncio's own, where uvloop is not installed."""

    def __init__(self) -> None:
        super().__init__()
        self._names = Names()

    async def getaddrinfo(self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:  # noqa: A002
        return await self.run_in_executor(self._names, socket.getaddrinfo, host, port, family, type, proto, flags)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> Any:
        return await self.run_in_executor(self._names, socket.getnameinfo, sockaddr, flags)


def new_loop() -> asyncio.AbstractEventLoop:
    """uvloop's where it is installed. Its default executor is for files and what else takes a moment, never for names."""
    loop = _loop()
    loop.set_default_executor(ThreadPoolExecutor(FILE_THREADS, thread_name_prefix="default"))
    return loop


def _loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "linux":
        try:
            import uvloop
        except ImportError:
            return Loop()
        os.environ.setdefault("UV_THREADPOOL_SIZE", str(NAME_THREADS))  # libuv reads it at the first lookup; it has four otherwise
        made: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return made
    return Loop()
