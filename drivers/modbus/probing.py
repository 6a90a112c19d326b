"""What a device nobody has a list for seems to have: units, readable ranges, values in every order. It only reads, one question at a time.

Bounds: at most REQUESTS questions a table of a unit, UNITS units looked into, PAUSE_SECONDS between two questions.
"""

from __future__ import annotations

import math
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from drivers.modbus.address import TABLES, Table, modicon
from drivers.modbus.config import ModbusOptions
from drivers.modbus.line import Line, Terms, User, claim
from drivers.modbus.link import NoAnswer
from drivers.modbus.messages import Refused, Request, identify, identity, read
from gateway.contract import NotConnected, SourceContext

REQUESTS = 120
UNITS = 8
SILENT_IN_A_ROW = 20
SILENT_SECONDS = 0.3
PAUSE_SECONDS = 0.02
RANGE_MOST = 500
FULL_MOST = 2
PAIRS = 12
TAGS = 40
_ALL_ANSWER = (1, 2, 3, 246, 247)
_SAMPLES = (*range(0, 500, 50), *range(500, 10_000, 500), *range(10_000, 65_000, 5_000), 0x5000, 0x5B00)
_OBJECTS = {0: "vendor", 1: "product", 2: "revision", 4: "name", 5: "model"}


@dataclass(frozen=True, slots=True)
class Found:
    """A readable range with what stood in it."""

    table: Table
    start: int
    words: tuple[int, ...]


class Probe:
    """Questions of one run, counted."""

    def __init__(self, line: Line, user: User, context: SourceContext) -> None:
        self._line, self._user, self._context = line, user, context
        self._left = REQUESTS

    async def ask(self, request: Request) -> bytes | None:
        """The payload; None when it is refused. Raises NoAnswer, NotConnected."""
        self._left -= 1
        await self._context.clock.sleep(PAUSE_SECONDS)
        try:
            return await self._line.ask_once(self._user, request)
        except Refused:
            return None

    @property
    def tired(self) -> bool:
        return self._left <= 0

    def rest(self) -> None:
        self._left = REQUESTS

    async def units(self) -> list[int]:
        """Who answers, an exception too; see README.md for when it stops early."""
        found: list[int] = []
        silent = 0
        for unit in range(1, 248):
            if await self._answers(unit):
                found.append(unit)
                silent = 0
                if found == [1, 2, 3] and all([await self._answers(other) for other in _ALL_ANSWER[3:]]):
                    return [1]  # it does not look at the number
            else:
                silent += 1
            if len(found) == UNITS or (found and silent == SILENT_IN_A_ROW):
                break
        return found

    async def _answers(self, unit: int) -> bool:
        try:
            await self.ask(read(unit, "holding", 0, 1))
        except NoAnswer:
            return False
        return True

    async def ranges(self, unit: int, table: Table) -> AsyncIterator[Found]:
        """By samples, each grown to both sides by halving."""
        end, full = -1, 0
        for sample in sorted(_SAMPLES):
            if sample < end:
                continue
            if self.tired or full == FULL_MOST:
                return
            words = await self._read(unit, table, sample, 1)
            if words is None:
                continue
            low = await self._grow_down(unit, table, sample, end)
            up = await self._grow_up(unit, table, sample + 1)
            found = (*low, *words, *up)
            yield Found(table, sample - len(low), found)
            end = sample + 1 + len(up)
            full += len(up) >= RANGE_MOST

    async def _read(self, unit: int, table: Table, start: int, count: int) -> tuple[int, ...] | None:
        payload = await self.ask(read(unit, table, start, count))
        if payload is None:
            return None
        if table in ("coil", "discrete"):
            return tuple(payload[i // 8] >> i % 8 & 1 for i in range(count))
        return struct.unpack(f">{count}H", payload)

    async def _grow_up(self, unit: int, table: Table, start: int) -> tuple[int, ...]:
        got: tuple[int, ...] = ()
        step = 100
        while step and len(got) < RANGE_MOST and not self.tired:
            here = start + len(got)
            words = await self._read(unit, table, here, step) if here + step <= 65536 else None
            if words is None:
                step //= 2
            else:
                got += words
        return got

    async def _grow_down(self, unit: int, table: Table, start: int, known: int) -> tuple[int, ...]:
        got: tuple[int, ...] = ()
        step = 16
        while step and len(got) < 100 and not self.tired:
            here = start - len(got) - step
            words = await self._read(unit, table, here, step) if here >= max(known, 0) else None
            if words is None:
                step //= 2
            else:
                got = words + got
        return got

    async def identity(self, unit: int) -> str:
        """``vendor Acme, product X``; empty if it does not tell."""
        try:
            payload = await self.ask(identify(unit))
        except NoAnswer:
            return ""
        texts = identity(payload) if payload is not None else {}
        return ", ".join(f"{name} {texts[key]}" for key, name in _OBJECTS.items() if texts.get(key))


async def probe(options: ModbusOptions, context: SourceContext) -> AsyncIterator[str]:
    """Lines of YAML that stand under ``machines:``. Raises NotConnected."""
    user = User(context.name, frozenset({0}), min(options.timeout, SILENT_SECONDS))
    line = claim(Terms.of(options), context.clock, user)
    try:
        await line.open(user)
        run = Probe(line, user, context)
        units = await run.units()
        yield f"# {line.peer}: " + (f"units {', '.join(map(str, units))}" if units else "no unit from 1 to 247 answers")
        for unit in units:
            async for text in _unit(run, options, unit):
                yield text
    finally:
        line.close(user)


async def _unit(run: Probe, options: ModbusOptions, unit: int) -> AsyncIterator[str]:
    told = await run.identity(unit)
    yield f"unit-{unit}:" + (f"  # {told}" if told else "")
    yield f'  source: {{modbus: "{options.modbus}", unit_id: {unit}}}'
    found: list[Found] = []
    try:
        for table in reversed(TABLES):  # registers first
            run.rest()
            async for part in run.ranges(unit, table):
                found.append(part)  # noqa: PERF401  what was found before a loss is kept
    except (NoAnswer, NotConnected) as exc:
        yield f"  # stopped: {exc}"
    for part in found:
        yield f"  # {part.table} {_range(part)} can be read"
    yield f"  # looked at samples, with at most {REQUESTS} questions a table: there may be more"
    if not found:
        yield "  # nothing could be read at the sampled addresses"
        return
    yield "  tags:"
    for text in _tags(found):
        yield f"    {text}"


def _range(part: Found) -> str:
    return f"{modicon(part.table, part.start)}-{modicon(part.table, part.start + len(part.words) - 1)}"


def _tags(found: list[Found]) -> Iterator[str]:
    """Registers with something in them first; each pair with its value in every order, and one register further."""
    places = [(part, i) for part in found for i in range(len(part.words))]
    places.sort(key=lambda place: place[0].words[place[1]] == 0)
    pairs = 0
    for part, i in sorted(places[:TAGS], key=lambda place: (TABLES.index(place[0].table), place[0].start + place[1])):
        number = modicon(part.table, part.start + i)
        name, word = f"{part.table}_{number}", part.words[i]
        if part.table in ("coil", "discrete"):
            yield f"{name}: {{at: {part.start + i + 1}, table: {part.table}, kind: state}}  # {word}"
            continue
        yield f"{name}: {{at: {number}}}  # uint16 {word}, int16 {word - 65536 if word > 32767 else word}"
        if word and pairs < PAIRS and i + 1 < len(part.words):
            pairs += 1
            yield from _orders(part, i)


def _orders(part: Found, i: int) -> Iterator[str]:
    for at in (i - 1, i, i + 1):
        if at >= 0 and at + 2 <= len(part.words):
            raw = struct.pack(">2H", *part.words[at : at + 2])
            shown = []
            for order, keys in (("ABCD", (0, 1, 2, 3)), ("CDAB", (2, 3, 0, 1)), ("BADC", (1, 0, 3, 2)), ("DCBA", (3, 2, 1, 0))):
                bytes_ = bytes(raw[key] for key in keys)
                shown.append(f"{order} {_float(bytes_)} or {int.from_bytes(bytes_, 'big')}")
            yield f"#   {modicon(part.table, part.start + at)} as float32 or uint32: {', '.join(shown)}"


def _float(raw: bytes) -> str:
    value: float = struct.unpack(">f", raw)[0]
    return f"{value:.5g}" if math.isfinite(value) and (value == 0 or 1e-6 <= abs(value) < 1e12) else "-"
