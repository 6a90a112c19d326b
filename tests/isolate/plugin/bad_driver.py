"""A driver of somebody else, installed beside lineside. It counts, and after a few readings does what its option says."""

from __future__ import annotations

import asyncio
import ctypes
import os
import random
import subprocess
import sys
from contextlib import suppress
from typing import Any

import numpy as np
import odd

from gateway.contract import (
    Answer,
    Batch,
    EndOfSource,
    Health,
    Item,
    NotConnected,
    Posted,
    Record,
    RecordOptions,
    SecretRef,
    SourceContext,
    SourceOptions,
    SourcePlugin,
    TagOptions,
    Trouble,
    Waveform,
)
from gateway.isolate import frames

FLOOD = frames.pack(frames.Beat())


class Options(SourceOptions):
    bad: str
    after: int = 2
    seed: int = 1
    poll_seconds: float = 0.01
    password: SecretRef | None = None


class BadSource:
    def __init__(self, options: Options, context: SourceContext) -> None:
        self._options, self._context, self._count, self._dice = options, context, 0, random.Random(options.seed)
        if options.bad == "loop_in_build":
            _for_ever()

    async def connect(self) -> None:
        if self._options.bad == "loop_in_connect":
            _for_ever()
        if self._options.bad == "refused":
            raise NotConnected("10.0.0.1:1", "connection refused", login=True)
        if self._options.bad == "secret":
            assert self._options.password is not None
            self._context.health(Health(trouble=Trouble.DEGRADED, active=True, why=self._context.secret(self._options.password)))
        if self._options.bad == "post":
            self._context.serve(self._receive)
        if self._options.bad == "environment":
            self._context.health(Health(trouble=Trouble.DEGRADED, active=True, facts={"environment": sorted(os.environ)}))

    async def read(self) -> Item | list[Item]:
        await asyncio.sleep(self._options.poll_seconds)
        self._count += 1
        if self._count > self._options.after and (deed := _DEEDS.get(self._options.bad)) is not None:
            deed(self)
        if self._options.bad == "odd":
            blocks = [tag.index for tag in self._context.tags if tag.options.kind == "waveform"]
            plain = [tag.index for tag in self._context.tags if tag.options.kind != "waveform"]
            now_ns, record = self._context.clock.now_ns(), self._context.records[0].path
            return [odd.item(self._dice, now_ns, plain, blocks, record) for _ in range(20)]
        if self._options.bad == "all":
            return self._all()
        if self._options.bad == "large":
            return Batch.of(np.zeros(500_000), np.arange(500_000), np.full(500_000, float(self._count)))
        return Batch.of([tag.index for tag in self._context.tags], [self._context.clock.now_ns()] * len(self._context.tags), self._values())

    async def close(self) -> None:
        if self._options.bad == "loop_in_close":
            _for_ever()

    def _values(self) -> list[float]:
        return [float(self._count)] * len(self._context.tags)

    def _all(self) -> list[Item]:
        """One of everything; what was read before counts as acknowledged now."""
        self._context.dropped("buffer_full", 3)
        self._context.skipped(2)
        self._context.filled(1, 2, 3)
        block = Waveform(tag=0, t_ns=5, rate_hz=1000.0, samples=Batch.of(0, 0, 0).value.astype("float32"), dropped=4, speed_rpm=1500.0)
        record = Record(source="m1/order", t_ns=6, fields={"number": self._count, "text": "\ud800", "big": 2**80})
        return [Batch.of([0, 0], [1, 2], [3.5, float("nan")], [0, 17]), block, record]

    async def _receive(self, posted: Posted) -> Answer:
        if posted.body == b"die":
            os._exit(3)
        return Answer(202, {"length": len(posted.body), "key": posted.key})

    def flood(self) -> None:
        while True:
            with suppress(BlockingIOError):
                self.write_raw(FLOOD)

    def heavy(self) -> None:
        """More than a note may be, while an answer is awaited that may be as large."""
        self.write_all(frames.pack(frames.Told("degraded", True, "", "", 10, b'{"a":[' + b"0," * 2_000_000 + b"0]}")))

    def stale(self) -> None:
        """Answers to nothing, each as large as one may be."""
        block = frames.pack(frames.Done(2**31, [frames.Message("m1/order", 1, bytes(8 << 20))]))
        while True:
            self.write_all(block)

    def write_all(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            with suppress(BlockingIOError):
                left = left[os.write(int(sys.argv[1]), left) :]

    def write_raw(self, data: bytes) -> None:
        os.write(int(sys.argv[1]), data)

    def wrong_tag(self) -> None:
        self._values = lambda: [1.0]  # type: ignore[method-assign]
        self._context = type("Context", (), {"tags": [type("Tag", (), {"index": 99})], "clock": self._context.clock})  # type: ignore[assignment]

    def grandchild(self) -> None:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "grandchild-of-bad-driver"])
        os._exit(4)


def _for_ever() -> None:
    while True:
        pass


def _eat() -> None:
    kept = []
    while True:
        kept.append(bytearray(8 << 20))


def _raise(error: BaseException) -> None:
    raise error


_DEEDS: dict[str, Any] = {
    "loop": lambda _self: _for_ever(),
    "memory": lambda _self: _eat(),
    "segfault": lambda _self: ctypes.string_at(0),
    "exit": lambda _self: os._exit(3),
    "bug": lambda _self: _raise(ZeroDivisionError("no wonder")),
    "end": lambda _self: _raise(EndOfSource()),
    "flood": BadSource.flood,
    "heavy": BadSource.heavy,
    "stale": BadSource.stale,
    "garbage": lambda self: self.write_raw(b"\x05\x00\x00\x00abcde"),
    "huge": lambda self: self.write_raw(b"\xff\xff\xff\xff"),
    "cut": lambda self: (self.write_raw(b"\x20\x00\x00\x00ab"), _for_ever()),
    "wrong_tag": BadSource.wrong_tag,
    "grandchild": BadSource.grandchild,
    "print": lambda _self: print("x" * 10_000 + "\n" * 500, flush=True),
}

plugin = SourcePlugin(name="bad", options=Options, tag=TagOptions, record=RecordOptions, build=BadSource)
