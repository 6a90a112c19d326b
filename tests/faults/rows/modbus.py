"""Rows of Modbus: a device that answers what it should not, and what must never be written to one."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp

from gateway.testkit.servers.modbus import Plc, crc
from rig import outbox
from rig.daemon import command
from rig.plant import Plant
from rig.run import Run, until
from rig.serial import SerialLine
from rig.table import row

TRUE, LIE = 4242, 9999
WRITES = {5, 6, 15, 16, 22, 23}
Mutation = Callable[[bytes, random.Random], bytes]
"""Of unit and message, as they stand in a frame of either kind."""


def _lie(body: bytes) -> bytes:
    """The right answer but for its registers: what is taken of it is seen."""
    return body[:3] + struct.pack(">H", LIE) * ((len(body) - 3) // 2)


def another_unit(body: bytes, dice: random.Random) -> bytes:
    return bytes([(body[0] + dice.randint(1, 255)) % 256]) + _lie(body)[1:]


def another_function(body: bytes, dice: random.Random) -> bytes:
    return body[:1] + bytes([dice.choice([1, 2, 4, 6, 16, 43, 99])]) + _lie(body)[2:]


def exception(body: bytes, dice: random.Random) -> bytes:
    return body[:1] + bytes([body[1] | 0x80, dice.choice([4, 5, 6, 7, 8, 9, 10, 11, 0, 255])])


def short(body: bytes, dice: random.Random) -> bytes:
    return _lie(body)[: dice.randint(2, len(body) - 1)]


def long(body: bytes, dice: random.Random) -> bytes:
    return _lie(body) + dice.randbytes(dice.randint(1, 40))


def counts_wrong(body: bytes, dice: random.Random) -> bytes:
    return body[:2] + bytes([dice.choice([0, 1, 3, 5, 250, 255])]) + _lie(body)[3:]


def overrun(body: bytes, dice: random.Random) -> bytes:
    """256 registers: more than a byte can count."""
    return body[:2] + b"\x00" + struct.pack(">H", LIE) * 256


def nothing(body: bytes, dice: random.Random) -> bytes:
    return body[:1]


BODIES: tuple[Mutation, ...] = (another_unit, another_function, exception, short, long, counts_wrong, overrun, nothing)


class Liar:
    """Every third answer is a wrong one, as long as `lies`; each that could be believed says LIE.

    rtu     its frames end in a checksum; `only_checksums`: nothing else is wrong with them
    """

    def __init__(self, dice: random.Random, *, rtu: bool = False, only_checksums: bool = False) -> None:
        self._dice, self._rtu, self._kinds = dice, rtu, 2 if only_checksums else 10
        self._number = self.told = 0
        self.lies = True

    def __call__(self, frame: bytes) -> bytes:
        self._number += 1
        if not self.lies or self._number % 3:
            return frame
        self.told += 1
        return self._serial(frame[:-2]) if self._rtu else self._tcp(frame[:6], frame[6:])

    def _serial(self, body: bytes) -> bytes:
        """The checksum is right but where it is the lie."""
        kind = self._dice.randrange(self._kinds)
        if kind == 0:
            return _lie(body) + bytes(byte ^ 0x5A for byte in crc(_lie(body)))
        if kind == 1:
            whole = bytearray(_lie(body) + crc(_lie(body)))
            whole[self._dice.randrange(len(whole))] ^= 1 << self._dice.randrange(8)
            return bytes(whole)
        wrong = self._dice.choice(BODIES)(body, self._dice)
        return wrong + crc(wrong)

    def _tcp(self, head: bytes, body: bytes) -> bytes:
        transaction, protocol, length = struct.unpack(">HHH", head)
        kind = self._dice.randrange(10)
        wrong = body if kind > 4 else _lie(body)
        if kind == 0:
            transaction ^= self._dice.randint(1, 0xFFFF)
        elif kind == 1:
            protocol = self._dice.randint(1, 0xFFFF)
        elif kind == 2:
            length = self._dice.choice([0, 1, 2, 0xFFFF])
        elif kind == 3:
            return self._dice.randbytes(self._dice.randint(1, 40))
        else:
            wrong = self._dice.choice(BODIES)(body, self._dice)
            length = len(wrong)
        return struct.pack(">HHH", transaction, protocol, length) + wrong


def machine(url: str) -> dict[str, Any]:
    source = {"modbus": url, "poll_seconds": 0.05, "timeout": "300ms", "lost_after": "1h"}
    return {"source": source, "tags": {"level": {"at": 40011}, "next": {"at": 40012}}}


DEVICES = 5
"""After each lie the daemon waits up to four seconds before it connects anew."""


@row(
    34,
    "Modbus answers of another transaction, unit or function, short, long, 256 registers, garbage, of a wrong checksum",
    expected="no value but the true one is ever taken; good again within 10 s; others go on; lost 0",
    count=30,
    night=1000,
    limit=180,
)
async def lied(run: Run) -> None:
    await liars(run, [Liar(run.dice) for _ in range(DEVICES)], Liar(run.dice, rtu=True, only_checksums=True), within=10)


@row(
    "34b",
    "the same on a serial line, where a unit that was silent is left alone for a minute",
    expected="no value but the true one is ever taken; good again within 75 s; others go on; lost 0",
    kind="N",
    count=5,
    limit=900,
)
async def lied_on_a_line(run: Run) -> None:
    await liars(run, [], Liar(run.dice, rtu=True), within=75)


async def liars(run: Run, over_tcp: list[Liar], on_line: Liar, *, within: float) -> None:
    devices, rtu = [Plc() for _ in over_tcp], Plc("rtu")
    async with AsyncExitStack() as stack:
        for device, liar in zip([*devices, rtu], [*over_tcp, on_line], strict=True):
            await stack.enter_async_context(device)
            device.set("holding", 10, [TRUE, TRUE])
            device.mangle = liar
        line = await stack.enter_async_context(SerialLine(rtu.port))
        plant = await stack.enter_async_context(Plant(run))
        urls = [*(device.url for device in devices), f"rtu://{line.device}?baud=115200"]
        plant.config["machines"] |= {f"fuzz-{number}": machine(url) for number, url in enumerate(urls)}
        plant.config["watch"].append(
            {"limit": {"on": "fuzz-*/*", "high": TRUE + 0.5, "low": TRUE - 0.5, "hold": "0s", "clear_after": "0s"}}
        )
        await plant.start()
        told = over_tcp or [on_line]
        await until(lambda: sum(liar.told for liar in told) >= run.count and on_line.told, run.row.limit, f"{run.count} lies")
        for liar in [*over_tcp, on_line]:
            liar.lies = False
        await good_again(run, plant, within)
        run.note(lies=[liar.told for liar in told], lies_on_the_line=on_line.told)
        await plant.recovered(10)
        await plant.settle()
        of_fuzz = [each for each in plant.crm.documents.values() if str(each.get("partitionkey")).startswith("fuzz")]
        believed = [each for each in of_fuzz if ".limit." in each["type"]]
        run.check(not believed, f"{len(believed)} events of values no device had, for example {believed[:1]}")


async def good_again(run: Run, plant: Plant, seconds: float) -> None:
    wrong: list[Any] = []
    for _ in range(int(seconds / 0.25)):
        machines = await plant.daemon.status("/api/machines")
        tags = [tag for each in machines if each["name"].startswith("fuzz") for tag in each["tags"]]
        wrong = [(tag["value"], tag["quality"]) for tag in tags if (tag["value"], tag["quality"]) != (TRUE, "good")]
        if tags and not wrong:
            return
        await asyncio.sleep(0.25)
    run.check(False, f"{seconds:g} s after the last lie: {wrong}")


FORBIDDEN = [("drive/setpoint", "1501"), ("drive/speed", "1"), ("drive/fault", "1"), ("press/counter", "1")]
FORBIDDEN += [("drive/setpoint", value) for value in ("-1", "nan", "inf", "-inf", "1e308", "99999999999")]


@row(
    41,
    "writing to a PLC outside of what the configuration allows",
    expected="refused and audited, 0 frames that write on the wire; what is allowed is written once",
    night=3,
)
async def writes(run: Run) -> None:
    async with Plant(run) as plant, Plc() as drive:
        plant.config["machines"]["drive"] = {
            "source": {"modbus": drive.url, "poll_seconds": 0.1},
            "tags": {"setpoint": {"at": 40101, "writable": [0, 1500]}, "speed": {"at": 40102}, "fault": {"at": 30001}},
        }
        await plant.start()
        await plant.arrived(10)
        file = str(plant.daemon.file)
        forbidden = FORBIDDEN[:2] + run.dice.sample(FORBIDDEN[2:], min(3 * run.count, len(FORBIDDEN) - 2))
        for path, value in forbidden:
            code, said = await command("write", "--yes", "--by", "a test", file, "--", path, value)
            run.check(code != 0 and "Traceback" not in said, f"{path} = {value}: exit code {code}: {said[-300:]}")
        run.check(not writing(drive, plant.plc), f"{len(writing(drive, plant.plc))} frames that write: {writing(drive, plant.plc)[:3]}")
        await audited(run, plant, len(forbidden))
        code, said = await command("write", "--yes", "--by", "a test", file, "drive/setpoint", "900")
        run.check(code == 0, f"what is allowed: exit code {code}: {said[-300:]}")
        run.check(len(writing(drive)) == 1, f"{len(writing(drive))} frames for one write")
        run.check(drive.words("holding", 100, 1) == [900], f"the register holds {drive.words('holding', 100, 1)}")
        await forged(run, plant)
        run.check(len(writing(drive, plant.plc)) == 1, "something else was written")
        await plant.settle()


def writing(*devices: Plc) -> list[tuple[int, bytes]]:
    return [asked for device in devices for asked in device.asked if asked[1][:1] and asked[1][0] in WRITES]


async def audited(run: Run, plant: Plant, attempts: int) -> None:
    told = outbox.ask(plant.state, "SELECT count(*) FROM audit WHERE what='write'")[0][0]
    run.note(audited=told, refused=attempts)
    run.check(told >= attempts, f"{told} lines in the audit of {attempts} refused attempts")


async def forged(run: Run, plant: Plant) -> None:
    """No way in from the page or from what is posted."""
    async with aiohttp.ClientSession() as http:
        for path in ("/api/write", "/api/machines/drive/tags/setpoint", "/api/machines", "/ingest/drive", "/api/drive/setpoint"):
            for method in ("POST", "PUT", "PATCH", "DELETE"):
                async with http.request(method, plant.daemon.url + path, json={"value": 1, "setpoint": 1}) as reply:
                    run.check(reply.status in (401, 403, 404, 405), f"{method} {path} was answered {reply.status}")
