"""A line and all who talk over it: one connection, one question at a time, whoever is due first."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from drivers.certificates import own_end, peer_end
from drivers.modbus.config import ModbusOptions
from drivers.modbus.endpoint import Endpoint
from drivers.modbus.link import Link, Lost, NoAnswer
from drivers.modbus.messages import OF_THE_GATEWAY, Refused, Request
from drivers.modbus.words import reason
from gateway.contract import Clock, ConfigError, NotConnected

REST_SECONDS = 60.0
DAMAGED_MOST = 3  # in a row; then the unit is as good as silent
_lines: WeakValueDictionary[str, Line] = WeakValueDictionary()


@dataclass(frozen=True, slots=True)
class Terms:
    """What all who share a line must agree on."""

    endpoint: Endpoint
    pause: float
    pause_after_connect: float
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @staticmethod
    def of(options: ModbusOptions) -> Terms:
        return Terms(options.endpoint, options.pause, options.pause_after_connect, options.ca, options.certificate, options.key)

    def differs(self, other: Terms) -> str:
        """Names of what is not the same, for the engineer."""
        return ", ".join(name for name in self.__dataclass_fields__ if getattr(self, name) != getattr(other, name))


@dataclass(eq=False, slots=True)
class User:
    """A source on a line. `served` is when it was last given the line, in turns."""

    name: str
    units: frozenset[int]
    timeout: float
    served: int = 0


@dataclass(slots=True)
class _Unit:
    """rests_until   asked by nobody before; 0 = it answers"""

    rests_until: float = 0.0
    why: str = ""
    damaged: int = 0


@dataclass(eq=False, slots=True)
class _Turn:
    deadline: float
    user: User
    granted: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Line:
    """Shared by the open sources of one endpoint. A unit that does not answer rests for a minute, so it costs the others one timeout.

    When no unit of any source answers, the line itself is taken for lost. `ends`: when the certificates of its connection end.
    """

    def __init__(self, terms: Terms, clock: Clock) -> None:
        self.terms, self.peer, self._clock = terms, terms.endpoint.peer, clock
        self.loop = asyncio.get_running_loop()
        self.users: set[User] = set()
        self._link: Link | None = None
        self.ends: dict[str, datetime] = {}
        self._opening = asyncio.Lock()
        self._units: dict[int, _Unit] = {}
        self._waiting: list[_Turn] = []
        self._busy, self._turns, self._free_at = False, 0, 0.0
        serial = terms.endpoint.serial
        self._pause = max(terms.pause, serial.gap_seconds if serial else 0.0)

    async def open(self, user: User) -> None:
        """`user` has claimed the line. Raises NotConnected, also when all units of `user` are resting."""
        async with self._opening:
            if self._link is None or self._link.lost:
                self._link = await self._connect(user.timeout)
                self._units.clear()
                if self.terms.pause_after_connect:
                    self._free_at = self._clock.monotonic() + self.terms.pause_after_connect
        self.raise_if_all_rest(user)

    def close(self, user: User) -> None:
        """The last one ends the connection."""
        self.users.discard(user)
        if not self.users and self._link is not None:
            self._link.abort("closed")
            self._link = None

    async def ask(self, user: User, request: Request, deadline: float) -> bytes:
        """The payload of the answer; `deadline` (monotonic) says who goes first.

        raises Refused        the device answered with an exception
        raises NoAnswer       the unit rests from now on, or its answer was damaged
        raises NotConnected   the line is lost
        """
        if self._busy:
            await self._turn(user, deadline)
        self._busy = True
        self._turns += 1
        user.served = self._turns
        try:
            if self._free_at:
                await self._clock.sleep(self._free_at - self._clock.monotonic())
                self._free_at = 0.0
            return await self._ask(request, user.timeout)
        finally:
            if self._pause:
                self._free_at = self._clock.monotonic() + self._pause
            self._busy = False
            if self._waiting:
                self._next()

    async def ask_once(self, user: User, request: Request) -> bytes:
        """As `ask`, for one who only looks who is there and has the line alone: a unit that does not answer neither rests nor costs it."""
        try:
            if self._link is None:
                raise NotConnected(self.peer, "not connected")
            return await self._link.ask(request, user.timeout)
        except Lost as exc:
            raise NotConnected(self.peer, str(exc)) from exc
        except Refused as exc:
            if exc.code in OF_THE_GATEWAY:
                raise NoAnswer(str(exc)) from exc
            raise

    def resting(self, unit: int) -> str:
        """Why nobody asks the unit now; empty: it may be asked."""
        state = self._units.get(unit) if self._units else None
        return state.why if state is not None and state.rests_until > self._clock.monotonic() else ""

    def raise_if_all_rest(self, user: User) -> None:
        """Raises NotConnected when none of the units may be asked."""
        whys = [self.resting(unit) for unit in user.units]
        if all(whys):
            raise NotConnected(self.peer, whys[0])

    async def _ask(self, request: Request, timeout: float) -> bytes:
        if self._link is None:
            raise NotConnected(self.peer, "not connected")
        try:
            payload = await self._link.ask(request, timeout)
        except Lost as exc:
            raise NotConnected(self.peer, str(exc)) from exc
        except NoAnswer as exc:
            self._silent(request.unit, str(exc), damaged=exc.damaged)
            raise
        except Refused as exc:
            if exc.code in OF_THE_GATEWAY:
                self._silent(request.unit, f"unit {request.unit}: {exc}", damaged=False)
                raise NoAnswer(f"unit {request.unit}: {exc}") from exc
            self._units.pop(request.unit, None)
            raise
        if self._units:
            self._units.pop(request.unit, None)
        return payload

    def _silent(self, unit: int, why: str, *, damaged: bool) -> None:
        state = self._units.setdefault(unit, _Unit())
        state.damaged = state.damaged + 1 if damaged else DAMAGED_MOST
        if state.damaged < DAMAGED_MOST:
            return
        state.why, state.rests_until = why, self._clock.monotonic() + REST_SECONDS
        if all(self.resting(used) for user in self.users for used in user.units) and self._link is not None:
            self._link.abort(why)
            raise NotConnected(self.peer, why)

    async def _turn(self, user: User, deadline: float) -> None:
        """Wait while others have the line: earliest deadline first, and of equals who waited longest for a turn."""
        turn = _Turn(deadline, user)
        self._waiting.append(turn)
        try:
            await turn.granted
        except asyncio.CancelledError:
            if turn.granted.done() and not turn.granted.cancelled():
                self._busy = False
                self._next()
            else:
                self._waiting.remove(turn)
            raise

    def _next(self) -> None:
        """Who is granted the line has it from now on, not only when it wakes up."""
        if self._waiting:
            self._busy = True
            turn = min(self._waiting, key=lambda waiting: (waiting.deadline, waiting.user.served))
            self._waiting.remove(turn)
            turn.granted.set_result(None)

    async def _connect(self, timeout: float) -> Link:
        """Raises NotConnected."""
        at = self.terms.endpoint
        seconds = min(9.0, 2 * timeout + 1)

        def make() -> Link:
            return Link(at.framing, at.serial)

        try:
            async with asyncio.timeout(seconds):
                if at.serial is not None:
                    from drivers.modbus.serial_port import open_serial

                    return open_serial(at.serial, make)
                tls: dict[str, Any] = {"ssl": self._tls(), "server_hostname": at.host} if at.tls else {}
                transport, link = await self.loop.create_connection(make, at.host, at.port, **tls)
                if at.tls:
                    self.ends |= peer_end("the device's", transport)
                return link
        except TimeoutError as exc:
            raise NotConnected(self.peer, f"no connection within {seconds:g} s") from exc
        except OSError as exc:
            raise NotConnected(self.peer, reason(exc)) from exc

    def _tls(self) -> ssl.SSLContext:
        """Raises ConfigError for files that cannot be used."""
        terms = self.terms
        try:
            context = ssl.create_default_context(cafile=terms.ca)
            if terms.certificate is not None:
                context.load_cert_chain(terms.certificate, terms.key)
            self.ends = own_end(terms.certificate)
        except OSError as exc:
            files = ", ".join(str(file) for file in (terms.ca, terms.certificate, terms.key) if file is not None)
            raise ConfigError(f"{files}: {reason(exc)}") from exc
        return context


def claim(terms: Terms, clock: Clock, user: User) -> Line:
    """The line of this endpoint, made if nobody has it; `user` must close it. Raises ConfigError when those who have it disagree on it."""
    line = _lines.get(terms.endpoint.bus)
    if line is None or line.loop is not asyncio.get_running_loop() or not line.users:
        line = _lines[terms.endpoint.bus] = Line(terms, clock)
    elif line.terms != terms:
        other, differs = next(iter(line.users)).name, line.terms.differs(terms)
        raise ConfigError(f"machines {other!r} and {user.name!r} share {line.peer} but differ in {differs}; write the same in both")
    line.users.add(user)
    return line
