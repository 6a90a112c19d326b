"""The process of one source: builds it, and does what the gateway asks for. It ends by being ended, or with the gateway."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import traceback
from collections.abc import Coroutine
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Final, NoReturn

from gateway.clock import SystemClock
from gateway.contract import (
    Answer,
    ConfigError,
    EndOfSource,
    Health,
    Item,
    NotConnected,
    Posted,
    Receiver,
    RecordSpec,
    SecretRef,
    Source,
    SourceContext,
    SourcePlugin,
    Tag,
)
from gateway.isolate import frames
from gateway.isolate.columns import packed, to_json
from gateway.isolate.confine import bound_memory, confine

OUT_OF_MEMORY: Final = 77
SHUT: Final = Answer(503, {"error": "the source is starting, stopping or lost"})
_LONGEST = 500
Given = tuple[Any, str, tuple[Tag, ...], tuple[RecordSpec, ...], Path, Path]
"""Options, name, tags, records, state folder, pki: what `Setup.given` is a pickle of."""


def main(fd: str, parent: str) -> NoReturn:
    """`fd`: our end of the pair of sockets. `parent`: the gateway's process."""
    confine(int(parent))
    try:
        asyncio.run(_Host(socket.socket(fileno=int(fd))).run())
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the gateway has gone
    os._exit(0)


class _Host:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._secrets: dict[str, str] = {}
        self._missing: dict[str, str] = {}
        self._receiver: Receiver | None = None
        self._work: asyncio.Task[bool] | None = None
        self._posts: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        asyncio.get_running_loop().set_exception_handler(_unhandled)
        reader, self._writer = await asyncio.open_connection(sock=self._sock, limit=frames.LARGEST)
        setup = await self._next(reader)
        assert isinstance(setup, frames.Setup)  # noqa: S101  the gateway is not in doubt
        bound_memory(setup.megabytes)
        built = await self._answer(0, self._build(setup))
        if not built:
            return
        self._beating = asyncio.create_task(self._beat(setup.beat_seconds))
        while True:
            self._do(await self._next(reader))

    @staticmethod
    async def _next(reader: asyncio.StreamReader) -> frames.Down:
        (size,) = frames.HEAD.unpack(await reader.readexactly(frames.HEAD.size))
        return frames.down(await reader.readexactly(size))

    async def _beat(self, seconds: float) -> None:
        while True:
            self._tell(frames.Beat())
            await asyncio.sleep(seconds)

    async def _build(self, setup: frames.Setup) -> list[Item]:
        plugin = EntryPoint("plugin", setup.plugin, "gateway.sources").load()
        if not isinstance(plugin, SourcePlugin):
            raise ConfigError(f"{setup.plugin} is no plugin of a source")
        given: Given = pickle.loads(setup.given)  # noqa: S301  the gateway made it
        options, name, tags, records, state_dir, pki = given
        context = SourceContext(
            name=name,
            tags=tags,
            records=records,
            clock=SystemClock(),
            state_dir=state_dir,
            pki=pki,
            secret=self._secret,
            dropped=lambda reason, count: self._tell(frames.Dropped(reason, int(count))),
            skipped=lambda count: self._tell(frames.Skipped(int(count))),
            filled=lambda from_ns, to_ns, count: self._tell(frames.Filled(int(from_ns), int(to_ns), int(count))),
            health=self._health,
            serve=self._serve,
        )
        self._source: Source = plugin.build(options, context)
        return []

    def _do(self, frame: frames.Down) -> None:
        if isinstance(frame, frames.Post):
            task = asyncio.create_task(self._post(frame))
            self._posts.add(task)
            task.add_done_callback(self._posts.discard)
        elif isinstance(frame, frames.Connect):
            self._secrets, self._missing = frame.secrets, frame.missing
            self._begin(frame.number, self._connect())
        elif isinstance(frame, frames.Read):
            self._begin(frame.number, self._read())
        elif isinstance(frame, frames.Close):
            self._begin(frame.number, self._close(self._work))

    def _begin(self, number: int, work: Coroutine[Any, Any, list[Item]]) -> None:
        self._work = asyncio.create_task(self._answer(number, work))

    async def _connect(self) -> list[Item]:
        await self._source.connect()
        return []

    async def _read(self) -> list[Item]:
        got = await self._source.read()
        return got if isinstance(got, list) else [got]

    async def _close(self, running: asyncio.Task[bool] | None) -> list[Item]:
        if running is not None:
            running.cancel()
            await asyncio.wait([running])
        await self._source.close()
        return []

    async def _answer(self, number: int, work: Coroutine[Any, Any, list[Item]]) -> bool:
        """What came of it goes up; True: it did not raise."""
        failed = None
        try:
            done = frames.pack(frames.Done(number, packed(await work)))
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        except EndOfSource:
            failed = frames.Failed(number, "end")
        except NotConnected as exc:
            failed = frames.Failed(number, "lost", exc.peer, exc.why, exc.login)
        except ConfigError as exc:
            failed = frames.Failed(number, "config", why=str(exc))
        except Exception as exc:  # noqa: BLE001  as the supervisor's: any error of a plugin is told, here over the border
            traceback.print_exc()
            failed = frames.Failed(number, "bug", why=f"{type(exc).__name__}: {exc}"[:1000])
        self._writer.write(frames.pack(failed) if failed else done)
        await self._writer.drain()
        return failed is None

    def _tell(self, frame: frames.Up) -> None:
        self._writer.write(frames.pack(frame))

    def _secret(self, ref: SecretRef) -> str:
        if ref.secret in self._secrets:
            return self._secrets[ref.secret]
        raise ConfigError(self._missing.get(ref.secret, f"secret {ref.secret!r} is not named in this source's options"))

    def _health(self, health: Health) -> None:
        facts = to_json(dict(health.facts))
        why, device = health.why[:_LONGEST], health.device[:_LONGEST]
        shown = facts if len(facts) <= frames.LARGEST_NOTE // 2 else b"{}"
        self._tell(frames.Told(health.trouble, health.active, why, device, int(health.severity), shown))

    def _serve(self, receiver: Receiver | None) -> None:
        self._receiver = receiver
        self._tell(frames.Serves(receiver is not None))

    async def _post(self, frame: frames.Post) -> None:
        answer = SHUT
        if (receiver := self._receiver) is not None:
            try:
                answer = await receiver(Posted(content_type=frame.content_type, body=frame.body, token=frame.token, key=frame.key))
            except Exception:  # noqa: BLE001  as the page's: the one who posted gets an answer
                traceback.print_exc()
                answer = Answer(500, {"error": "the source failed"})
        self._tell(frames.Answered(frame.number, int(answer.status), to_json(answer.body)))


def _unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if isinstance(context.get("exception"), MemoryError):
        os._exit(OUT_OF_MEMORY)
    loop.default_exception_handler(context)
