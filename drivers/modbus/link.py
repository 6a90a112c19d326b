"""One connection: a question, its answer or the reason why there is none."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Protocol

from drivers.modbus.endpoint import Framing, Serial
from drivers.modbus.frames import MOST_BYTES, Asked, Broken, frames
from drivers.modbus.messages import Request, Unexpected
from drivers.modbus.words import reason

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

_QUIET_SECONDS = {"tcp": 0.5, "serial": 0.1}
_HEAR_OUT_SECONDS = 1.5  # less than the engine waits for who was cancelled


class Port(Protocol):
    """What a transport must have: asyncio's, uvloop's, and the serial one."""

    def write(self, data: bytes) -> None: ...
    def abort(self) -> None: ...


class Lost(Exception):
    """The connection is gone or cannot be trusted any more."""


class NoAnswer(Exception):
    """The unit did not answer in time, or with something that is no frame; the connection is as good as before.

    damaged   something came
    """

    def __init__(self, why: str, *, damaged: bool = False) -> None:
        super().__init__(why)
        self.damaged = damaged


class Link(asyncio.Protocol):
    """One request in flight, because most devices can do no better. `lost` is empty while it can be used."""

    def __init__(self, framing: Framing, serial: Serial | None = None) -> None:
        self._frames, self._buffer = frames(framing), b""
        self._has_transactions = framing == "mbap"
        # Without a header nothing says where a damaged frame ends, but the silence behind it.
        self._quiet_seconds = max(_QUIET_SECONDS["serial"], 20 * serial.character_seconds) if serial else _QUIET_SECONDS["tcp"]
        self._port: Port | None = None
        self._waiter: asyncio.Future[bytes] | None = None
        self._deadline, self._timeout = 0.0, 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._quiet: asyncio.TimerHandle | None = None
        self._asked = Asked(0, 0, 0)
        self._transaction, self._sent = 0, b""
        self.lost = ""

    def connection_made(self, transport: object) -> None:
        self._port = transport  # type: ignore[assignment]  # by what it has: uvloop's transports are no subclass of asyncio's

    def connection_lost(self, exc: Exception | None) -> None:
        self._give_up(reason(exc) if exc else "connection closed by the device")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._waiter is None or self._waiter.done():
            if not self._has_transactions:
                self._buffer = self._buffer[-MOST_BYTES:]  # noise of a line at rest; the next question forgets it
            elif len(self._buffer) > MOST_BYTES:
                self.abort("sends what nobody asked for")
            return
        try:
            used, answer = self._frames.take(self._buffer, self._asked)
        except Broken as exc:
            self.abort(str(exc))
            return
        self._buffer = self._buffer[used:]
        if answer is not None:
            self._waiter.set_result(answer)
        elif len(self._buffer) > MOST_BYTES:
            self.abort("sends what is not Modbus")
        elif not self._has_transactions and self._has_begun():
            self._await_silence()

    async def ask(self, request: Request, timeout: float) -> bytes:
        """The payload of the answer.

        raises Refused    the device answered with an exception
        raises NoAnswer   none within `timeout` seconds, or a damaged one
        raises Lost       the connection is gone
        """
        if self._port is None or self.lost:
            raise Lost(self.lost or "not connected")
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        self._transaction = self._transaction % 65_535 + 1
        self._asked = Asked(request.unit, request.function, self._transaction)
        if not self._has_transactions:
            self._buffer = b""  # what came late belongs to nobody
        self._sent = self._frames.build(request.message, self._asked)
        self._port.write(self._sent)
        self._deadline, self._timeout = loop.time() + timeout, timeout
        if self._timer is None or self._timer.when() > self._deadline:
            self._arm(loop)
        try:
            return request.payload(await waiter)
        except asyncio.CancelledError:
            if not self._has_transactions:
                await self._hear_out(loop)
            raise
        except Unexpected as exc:  # a whole frame: what comes next is not its rest
            raise NoAnswer(f"unit {request.unit}: {exc}", damaged=True) from exc
        finally:
            self._waiter = None
            if self._quiet is not None:
                self._quiet.cancel()

    async def _hear_out(self, loop: asyncio.AbstractEventLoop) -> None:
        """Nobody wants the answer any more; but nothing in it says what it answers, and it would be taken for that of the next question."""
        if self.lost:
            return
        self._waiter = loop.create_future()
        if self._timer is None:
            self._arm(loop)
        self.data_received(b"")
        with suppress(Lost, NoAnswer, TimeoutError):
            async with asyncio.timeout(_HEAR_OUT_SECONDS):
                await self._waiter

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        """One timer for many requests: it looks when it fires whether the last one's time is over."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(self._deadline, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._waiter is None or self._waiter.done():
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._deadline:
            self._arm(loop)
        else:
            self._silent(self._waiter, self._asked.unit, self._timeout)

    def _silent(self, waiter: asyncio.Future[bytes], unit: int, timeout: float) -> None:
        if self._has_transactions and self._buffer:  # what comes next would be taken for its rest
            self.abort(f"unit {unit} sent half an answer within {timeout:g} s")
        elif self._heard():
            self._damaged()
        else:
            waiter.set_exception(NoAnswer(f"unit {unit} did not answer within {timeout:g} s"))

    def _heard(self) -> bytes:
        """What came, without the echo of our own question."""
        return self._buffer.replace(self._sent, b"", 1)

    def _has_begun(self) -> bool:
        """Not with that echo, nor a glitch of the line as it turns round: behind these the unit still thinks."""
        heard = self._heard()
        return not self._sent.startswith(heard) and self._frames.begins(heard, self._asked)

    def _await_silence(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
        self._quiet = asyncio.get_running_loop().call_later(self._quiet_seconds, self._damaged)

    def _damaged(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(NoAnswer(f"unit {self._asked.unit} sent a damaged answer", damaged=True))

    def _give_up(self, why: str) -> None:
        self.lost = self.lost or why
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(Lost(self.lost))

    def abort(self, why: str) -> None:
        self._give_up(why)
        if self._port is not None:
            self._port.abort()
