"""The connection to the broker: bytes, and whether anybody is still there."""

from __future__ import annotations

import asyncio
import errno
import ssl
from typing import cast

from drivers.broker.packets import PINGREQ

UNREAD_BYTES = 1 << 20
SILENT_SECONDS = 10.0
SLOW_SECONDS, LEAST_BYTES_PER_SECOND = 10.0, 1024
CLOSE_SECONDS = 1.0
GATHER_SECONDS = 0.002
GATHER_BYTES = 1400  # more would let a broker that sends only twenty messages ahead of our acknowledgements wait for them


class Link(asyncio.Protocol):
    """Keeps what came until it is taken; beyond `UNREAD_BYTES` it leaves the rest in the socket.

    From `keep_alive` on it asks for a sign of life (PINGREQ) after half of that time, five seconds at most, of silence,
    and loses the connection when none comes for as long again: a broker without power says nothing. It also loses one whose
    packet has no end: one that announced more than it has would have all that follows taken for a part of it.

    Wakes its reader at once after a rest, then at most every `GATHER_SECONDS` unless `GATHER_BYTES` are there: a read costs
    as much as ten messages.

    lost      why the connection is no more; empty while it is there
    hung_up   the peer ended it, and said nothing of why
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._keepalive = 0.0
        self.lost = ""
        self.hung_up = False
        self._chunks: list[bytes] = []
        self._unread = 0
        self._paused = False
        self._received = self._sent = self._begun = self._loop.time()
        self._pending = 0
        self._asked: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._gathering: asyncio.TimerHandle | None = None
        self._next_wake = 0.0
        self._ended = self._loop.create_future()

    def take(self) -> bytes:
        """All that came since."""
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._unread = 0
        if self._paused and self._transport is not None and not self.lost:
            self._paused = False
            self._pending, self._received = 0, self._loop.time()
            self._transport.resume_reading()
        return data

    def cut(self) -> None:
        """What was taken ended a packet, or ends with one: from here on counts how fast the next one comes."""
        self._pending = 0

    def keep_alive(self, seconds: float) -> None:
        """From now on; we say something at least every half of it."""
        self._keepalive = seconds
        self._received = self._loop.time()
        self._watch()

    async def wait(self) -> None:
        """Until something came or the connection is lost."""
        if self.lost:
            return
        self._waiter = self._loop.create_future()
        if self._chunks:
            self._gather()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def send(self, data: bytes) -> None:
        if data and self._transport is not None and not self.lost:
            self._sent = self._loop.time()
            self._transport.write(data)

    async def close(self) -> None:
        """Send what is still to be sent, for a second at most."""
        if self._transport is None:
            return
        self.lose("closed")
        self._transport.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.shield(self._ended)
        except TimeoutError:
            self._transport.abort()
            await asyncio.shield(self._ended)
        except asyncio.CancelledError:
            self._transport.abort()
            raise

    def abort(self) -> None:
        """End it now, unsaid."""
        self.lose("closed")
        if self._transport is not None:
            self._transport.abort()

    def lose(self, reason: str) -> None:
        """The connection is of no use any more; the first reason counts."""
        self.lost = self.lost or reason
        if self._timer is not None:
            self._timer.cancel()
        self._wake()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received = self._loop.time()
        self._asked = None
        if not self._pending:
            self._begun = self._received
        self._pending += len(data)
        self._chunks.append(data)
        self._unread += len(data)
        if self._unread > UNREAD_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._gather()

    def connection_lost(self, exc: Exception | None) -> None:
        self.hung_up = not self.lost and (exc is None or isinstance(exc, ConnectionResetError))
        self.lose("closed by the broker" if exc is None else why(exc))
        if not self._ended.done():
            self._ended.set_result(None)

    def _watch(self) -> None:
        """Look several times in the silence that may last; what waits in the socket because we paused is no silence."""
        now, patience = self._loop.time(), min(self._keepalive, SILENT_SECONDS) / 2
        silent = now - self._received >= patience
        if silent and not self._paused and self._asked is not None and now - self._asked >= patience:
            self._give_up(f"no sign of life for {now - self._received:.1f} s")
            return
        if self._crawls(now - self._begun):
            self._give_up(f"{self._pending} bytes in {now - self._begun:.0f} s, and no end of the packet they belong to")
            return
        if (silent and self._asked is None) or now - self._sent >= self._keepalive / 2:
            self._asked = self._asked or now
            self.send(PINGREQ)
        self._timer = self._loop.call_later(patience / 4, self._watch)

    def _crawls(self, seconds: float) -> bool:
        """Only of what the reader has taken and found to be a part: it may be busy, and then nothing is known of what waits."""
        waits = self._waiter is not None and not self._chunks
        return waits and 0 < self._pending < seconds * LEAST_BYTES_PER_SECOND and seconds >= SLOW_SECONDS

    def _give_up(self, reason: str) -> None:
        self.lose(reason)
        cast("asyncio.Transport", self._transport).abort()

    def _gather(self) -> None:
        if self._waiter is None:
            return
        if self._unread >= GATHER_BYTES or self._loop.time() >= self._next_wake:
            self._wake()
        elif self._gathering is None:
            self._gathering = self._loop.call_at(self._next_wake, self._wake)

    def _wake(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
            self._next_wake = self._loop.time() + GATHER_SECONDS


def why(exc: BaseException) -> str:
    """An error of the socket or of TLS in the words of the field."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {exc.verify_message}"
    if isinstance(exc, ssl.SSLError):
        return f"TLS failed: {(exc.reason or str(exc)).lower().replace('_', ' ')}"
    if isinstance(exc, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in str(exc):
        return "connection refused"
    return (getattr(exc, "strerror", None) or str(exc) or type(exc).__name__).splitlines()[0][:200]
