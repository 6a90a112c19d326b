"""Frames: against pymodbus, which builds what we take apart, and against any bytes at all."""

from __future__ import annotations

import asyncio
import struct
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer.ascii import FramerAscii
from pymodbus.framer.rtu import FramerRTU
from pymodbus.framer.socket import FramerSocket
from pymodbus.pdu import DecodePDU

from drivers.modbus import messages
from drivers.modbus.endpoint import Framing
from drivers.modbus.frames import MOST_BYTES, Asked, Broken, frames
from drivers.modbus.link import Link, Lost, NoAnswer
from drivers.modbus.messages import Refused, Request, Unexpected, identity
from gateway.contract import NotConnected
from gateway.testkit.servers.modbus import Plc, crc
from gateway.testkit.servers.modbus_relay import Relay, noise

_FRAMINGS: list[Framing] = ["mbap", "rtu", "ascii"]
_DECODER = DecodePDU(is_server=True)
_PYMODBUS: dict[Framing, Any] = {"mbap": FramerSocket(_DECODER), "rtu": FramerRTU(_DECODER), "ascii": FramerAscii(_DECODER)}
_ASKED = Asked(unit=3, function=3, transaction=77)
every_framing = pytest.mark.parametrize("framing", _FRAMINGS)


def framed(framing: Framing, message: bytes, unit: int = 3, transaction: int = 77) -> bytes:
    return bytes(_PYMODBUS[framing].encode(message, unit, transaction))


def answer(words: list[int]) -> bytes:
    return struct.pack(f">BB{len(words)}H", 3, 2 * len(words), *words)


@every_framing
@given(words=st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=125), cut=st.integers(0, 600))
def test_answer_is_found_wherever_it_is_cut(framing: Framing, words: list[int], cut: int) -> None:
    whole = framed(framing, answer(words))
    used, found = frames(framing).take(whole[:cut], _ASKED)
    if cut < len(whole):
        assert found is None
    assert frames(framing).take(whole[:cut][used:] + whole[cut:], _ASKED)[1] == (answer(words) if found is None else None)


@every_framing
def test_answers_of_others_are_passed_over(framing: Framing) -> None:
    others = [framed(framing, answer([1, 2]), unit=4), framed(framing, b"\x04\x02\x00\x01")]
    if framing == "mbap":
        others = [framed(framing, answer([1]), unit=4), framed(framing, answer([2]), transaction=76)]
    mine = framed(framing, answer([9]))
    assert frames(framing).take(b"".join(others) + mine, _ASKED)[1] == answer([9])


@pytest.mark.parametrize("framing", ["rtu", "ascii"])
@given(st.binary(max_size=40).filter(lambda noise: b"\x03" not in noise and b":" not in noise))
def test_noise_before_an_answer_is_passed_over(framing: Framing, noise: bytes) -> None:
    assert frames(framing).take(noise + framed(framing, answer([9])), _ASKED)[1] == answer([9])


@pytest.mark.parametrize("framing", ["rtu", "ascii"])
@given(at=st.integers(0, 8), bit=st.integers(0, 7))
def test_one_wrong_bit_is_never_an_answer(framing: Framing, at: int, bit: int) -> None:
    damaged = bytearray(framed(framing, answer([0x1234, 0x5678])))
    damaged[at] ^= 1 << bit
    assert frames(framing).take(bytes(damaged), _ASKED)[1] in (None, answer([0x1234, 0x5678]))


def test_lowercase_digits_are_digits() -> None:
    assert frames("ascii").take(framed("ascii", answer([0xABCD])).lower(), _ASKED)[1] == answer([0xABCD])


@every_framing
@given(st.binary(max_size=700))
def test_any_bytes_are_an_answer_or_waiting_or_broken(framing: Framing, data: bytes) -> None:
    try:
        used, found = frames(framing).take(data, _ASKED)
    except Broken:
        return
    assert 0 <= used <= len(data)
    assert found is None or len(found) >= 1


_REQUESTS = [
    messages.read(3, "holding", 0, 3),
    messages.read(3, "coil", 0, 9),
    messages.write_coil(3, 1, True),
    messages.write_registers(3, 1, [1, 2]),
    messages.identify(3),
]


@pytest.mark.parametrize("request_", _REQUESTS, ids=lambda request: f"function {request.function}")
@given(st.binary(min_size=1, max_size=260))
def test_any_message_is_a_payload_or_refused_or_unexpected(request_: Request, message: bytes) -> None:
    for whole in (message, bytes([request_.function]) + message, bytes([request_.function | 0x80]) + message):
        try:
            payload = request_.payload(whole)
        except (Refused, Unexpected):
            continue
        assert not request_.size or len(payload) == request_.size
        assert isinstance(identity(payload), dict)


@every_framing
@given(st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=4))
def test_any_bytes_from_the_device_end_in_an_answer_or_a_known_error(framing: Framing, pieces: list[bytes]) -> None:
    """In time, and without growing."""

    class Port:
        def write(self, data: bytes) -> None:
            for piece in pieces:
                asyncio.get_running_loop().call_soon(link.data_received, piece)

        def abort(self) -> None:
            pass

    link = Link(framing)

    async def ask() -> None:
        link.connection_made(Port())
        for _ in range(3):
            with suppress(Refused, NoAnswer, Lost):
                await asyncio.wait_for(link.ask(_REQUESTS[0], 0.003), 5)
            assert len(link._buffer) <= MOST_BYTES + max(map(len, pieces))

    asyncio.run(ask())


@every_framing
@pytest.mark.parametrize("seed", [1, 2])
async def test_bad_cable_gives_answers_or_not_connected_and_never_a_wrong_value(
    make: Callable[..., Any], framing: Framing, seed: int
) -> None:
    """RTU and ASCII have checksums; over Modbus TCP a flipped bit inside a register cannot be seen, so only lengths may be mangled."""
    async with Plc(framing) as plc, Relay(plc.port) as relay:
        plc.holds({i: 1000 + i for i in range(30)})
        source = make(plc.url.replace(plc.address, relay.address), {f"t{i}": {"at": 40001 + i} for i in range(30)}, timeout="50ms")
        relay.mangle = noise(seed, 0.02) if framing != "mbap" else shortened(seed)
        seen = 0
        for _ in range(12):
            try:
                await source.connect()
                for _ in range(5):
                    batch = await source.read()
                    good = batch.quality == 0
                    assert (batch.value[good] == 1000 + batch.tag[good]).all()
                    seen += int(good.sum())
            except NotConnected:
                pass
            finally:
                await source.close()
        relay.mangle = None
        found: list[int] = []
        async with asyncio.timeout(10):
            while not found:
                with suppress(NotConnected):  # a busy machine may be slower than the device is given
                    await source.connect()
                    found = (await source.read()).quality.tolist()
        assert found == [0] * 30
    assert seen


def shortened(seed: int) -> Callable[[bytes], bytes]:
    """Loses the end of one answer in four."""
    mangle = noise(seed, 0.3)
    return lambda data: data[: -1 - len(data) // 3] if mangle(b"x") != b"x" else data


async def test_device_that_babbles_does_not_grow_us(make: Callable[..., Any], plc: Plc) -> None:
    source = make(plc.url, {"t": {"at": 40001}})
    plc.mangle = lambda frame: frame * 50
    await source.connect()
    for _ in range(20):
        await source.read()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(300):
            try:
                await source.read()
            except NotConnected:
                await source.close()
                await source.connect()
        assert tracemalloc.get_traced_memory()[0] - before < 300_000
    finally:
        tracemalloc.stop()


def test_checksum_of_our_plc_is_pymodbus() -> None:
    """Two who computed it apart."""
    assert crc(b"\x03\x03\x00\x00\x00\x01") == framed("rtu", b"\x03\x00\x00\x00\x01")[-2:]
