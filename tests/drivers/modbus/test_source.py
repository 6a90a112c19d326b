"""The source against a PLC whose faults are set freely."""

from __future__ import annotations

import asyncio
import math
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from drivers.modbus.rounds import ASK_REFUSED_SECONDS
from drivers.modbus.words import reason
from gateway.contract import GOOD, Batch, NotConnected, Quality
from gateway.testkit.checks.watch import until
from gateway.testkit.clock import FakeClock
from gateway.testkit.servers.modbus import Plc
from gateway.testkit.servers.ports import free_port

BAD_DEVICE = int(Quality.BAD_DEVICE)
Make = Callable[..., Any]
ROW = {f"r{i}": {"at": 40001 + i} for i in range(10)}


def by_tag(batch: Batch) -> dict[int, tuple[float, int]]:
    return {
        tag: (value, quality) for tag, value, quality in zip(batch.tag.tolist(), batch.value.tolist(), batch.quality.tolist(), strict=True)
    }


async def test_values_of_all_tables_come_in_one_batch(plc: Plc, make: Make) -> None:
    plc.set("holding", 10, list(struct.unpack(">HH", struct.pack(">f", 51.5))))
    plc.set("input", 0, [3])
    plc.set("coil", 4, [1])
    plc.set("discrete", 2, [1])
    plc.set("holding", 20, [0x0004])
    tags = {"a": {"at": 40011, "as": "float32"}, "b": {"at": 30001}, "c": {"at": 5}, "d": {"at": 10003}, "e": {"at": 40021, "bit": 2}}
    source = make(plc.url, tags)
    await source.connect()
    before = time.time_ns()
    batch = await source.read()
    assert by_tag(batch) == {0: (51.5, GOOD), 1: (3.0, GOOD), 2: (1.0, GOOD), 3: (1.0, GOOD), 4: (1.0, GOOD)}
    assert before <= batch.t_ns.min() <= batch.t_ns.max() <= time.time_ns()


@pytest.mark.parametrize("refused", [0, 4, 9])
async def test_address_the_plc_refuses_is_bad_and_the_rest_is_not(plc: Plc, make: Make, refused: int) -> None:
    plc.holds({i: 100 + i for i in range(10)})
    plc.refuse = {("holding", refused)}
    source = make(plc.url, ROW)
    await source.connect()
    got = by_tag(await source.read())
    assert got.pop(refused)[1] == BAD_DEVICE
    assert got == {i: (100.0 + i, GOOD) for i in range(10) if i != refused}


async def test_neighbours_of_a_refused_coil_keep_their_values_while_it_is_searched_for(plc: Plc, make: Make) -> None:
    """Each half of what is searched begins at the first coil, too."""
    plc.set("coil", 0, [1] * 10)
    plc.refuse = {("coil", 9)}
    source = make(plc.url, {f"c{at}": {"at": at, "table": "coil"} for at in (1, 3, 5, 10)}, coils_start_at_zero=True)
    await source.connect()
    batch: Any = await source.read()
    assert batch.quality.tolist() == [GOOD, GOOD, GOOD, Quality.BAD_DEVICE]
    assert batch.value[:3].tolist() == [1.0, 1.0, 1.0]


async def test_address_the_plc_refuses_costs_nothing_until_it_is_asked_again(plc: Plc, make: Make) -> None:
    clock = FakeClock()
    plc.refuse = {("holding", 4)}
    source = make(plc.url, ROW, clock=clock)
    await source.connect()
    await source.read()
    plc.requests = 0
    assert 4 not in by_tag(await source.read())
    assert plc.requests <= 2
    plc.refuse, plc.requests = set(), 0
    await clock.advance(ASK_REFUSED_SECONDS + 1)
    assert by_tag(await source.read())[4][1] == GOOD
    assert len(await source.read()) == 10
    assert plc.requests <= 4


async def test_hole_in_the_plcs_map_costs_its_search_only_once(plc: Plc, make: Make) -> None:
    plc.refuse = {("holding", 3)}
    tags = {f"r{at}": {"at": at} for at in (40001, 40002, 40003, 40006, 40007, 40008)}
    source = make(plc.url, tags)
    await source.connect()
    assert set((await source.read()).quality.tolist()) == {GOOD}
    plc.requests = 0
    assert set((await source.read()).quality.tolist()) == {GOOD}
    assert plc.requests == 2


@pytest.mark.parametrize("code", [4, 5, 6])
async def test_device_in_trouble_is_bad_as_a_whole_and_asked_at_the_next_poll(plc: Plc, make: Make, code: int) -> None:
    source = make(plc.url, ROW)
    await source.connect()
    plc.code = code
    batch = await source.read()
    assert batch.quality.tolist() == [BAD_DEVICE] * 10
    assert np.isnan(batch.value).all()
    assert plc.requests == 1
    plc.code = None
    assert (await source.read()).quality.tolist() == [GOOD] * 10


@pytest.mark.parametrize(("code", "words"), [(10, "path unavailable"), (11, "failed to respond")])
async def test_gateway_that_does_not_reach_the_only_unit_is_not_connected(plc: Plc, make: Make, code: int, words: str) -> None:
    source = make(plc.url, ROW)
    await source.connect()
    plc.code = code
    with pytest.raises(NotConnected, match=f"unit 1: exception {code}, gateway .*{words}"):
        await source.read()


async def test_everything_refused_does_not_spin(plc: Plc, make: Make) -> None:
    clock = FakeClock()
    plc.code = 2
    source = make(plc.url, ROW, clock=clock, poll_seconds=0)
    await source.connect()
    assert set((await source.read()).quality.tolist()) == {BAD_DEVICE}
    await source.read()
    reading = asyncio.create_task(source.read())
    await clock.settle()
    assert not reading.done()
    reading.cancel()


@pytest.mark.parametrize(("value", "quality"), [(math.nan, Quality.BAD_NOT_FINITE), (-math.inf, Quality.BAD_NOT_FINITE), (1.5, GOOD)])
async def test_not_a_number_is_bad_and_its_neighbour_good(plc: Plc, make: Make, value: float, quality: int) -> None:
    plc.set_float("holding", 0, value)
    plc.set_float("holding", 2, 7.25)
    source = make(plc.url, {"a": {"at": 40001, "as": "float32"}, "b": {"at": 40003, "as": "float32"}})
    await source.connect()
    batch = await source.read()
    assert batch.quality.tolist() == [quality, GOOD]
    assert np.isnan(batch.value[0]) == (quality != GOOD)
    assert batch.value[1] == 7.25


def truncated(frame: bytes) -> bytes:
    return frame[:-3]


def long_payload(frame: bytes) -> bytes:
    return frame[:5] + bytes([frame[5] + 1]) + frame[6:8] + bytes([frame[8] + 1]) + frame[9:] + b"\x00"


def lying_count(frame: bytes) -> bytes:
    return frame[:8] + b"\xff" + frame[9:]


def other_transaction(frame: bytes) -> bytes:
    return b"\x7f\xff" + frame[2:]


def other_unit(frame: bytes) -> bytes:
    return frame[:6] + b"\x63" + frame[7:]


def other_function(frame: bytes) -> bytes:
    return frame[:7] + b"\x04" + frame[8:]


def unknown_function(frame: bytes) -> bytes:
    return frame[:7] + b"\x63" + frame[8:]


def other_protocol(frame: bytes) -> bytes:
    return frame[:2] + b"\xbe\xef" + frame[4:]


def noise(frame: bytes) -> bytes:
    return bytes(5000)


def nothing(frame: bytes) -> bytes:
    return b""


@pytest.mark.parametrize(
    "mangle",
    [
        truncated,
        other_transaction,
        other_unit,
        other_protocol,
        noise,
        nothing,
    ],
)
async def test_answer_that_cannot_be_trusted_is_not_connected_in_time(plc: Plc, make: Make, mangle: Callable[[bytes], bytes]) -> None:
    source = make(plc.url, ROW)
    await source.connect()
    await source.read()
    plc.mangle = mangle
    began = time.monotonic()
    with pytest.raises(NotConnected, match=plc.address):
        await source.read()
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("mangle", [long_payload, lying_count, other_function, unknown_function])
async def test_whole_answer_that_does_not_fit_is_bad_alone(plc: Plc, make: Make, mangle: Callable[[bytes], bytes]) -> None:
    """As a device that counts the bytes of its coils wrongly; only where nothing else comes it is lost."""
    source = make(plc.url, ROW | {"odd": {"at": 1}})
    await source.connect()
    plc.mangle = lambda frame: mangle(frame) if frame[7] == 1 else frame
    for _ in range(5):
        batch = by_tag(await source.read())
        assert batch.pop(10)[1] == Quality.BAD_FORMAT
        assert {quality for _, quality in batch.values()} == {GOOD}
    assert plc.connections == 1
    plc.mangle = mangle
    await source.read()
    with pytest.raises(NotConnected, match=plc.address):
        await source.read()


async def test_answer_in_pieces_is_an_answer(plc: Plc, make: Make) -> None:
    """TCP may cut anywhere: here the second half comes with the next answer's request pending."""
    source = make(plc.url, ROW)
    await source.connect()
    late = other_transaction(b"\x00\x01\x00\x00\x00\x17\x01\x03\x14" + bytes(20))
    plc.mangle = lambda frame: late + frame
    assert (await source.read()).quality.tolist() == [GOOD] * 10


async def test_silent_device_is_not_connected_within_its_timeout(plc: Plc, make: Make) -> None:
    source = make(plc.url, ROW, unit_id=7)
    await source.connect()
    plc.silent = True
    began = time.monotonic()
    with pytest.raises(NotConnected, match=r"unit 7 did not answer within 0.3 s"):
        await source.read()
    assert 0.25 < time.monotonic() - began < 1.0


async def test_plc_unplugged_while_reading_is_told_at_once(plc: Plc, make: Make) -> None:
    source = make(plc.url, ROW, timeout="9s")
    await source.connect()
    plc.silent = True
    reading = asyncio.create_task(source.read())
    await until(lambda: plc.requests > 0, 5.0, lambda: "no request came")
    await plc.stop()
    began = time.monotonic()
    with pytest.raises(NotConnected, match=r"reset|closed"):
        await reading
    assert time.monotonic() - began < 1.0


async def test_read_after_a_cancelled_read_gets_its_own_answer(plc: Plc, make: Make) -> None:
    plc.holds({0: 1})
    source = make(plc.url, {"a": {"at": 40001}, "b": {"at": 49001}})
    await source.connect()
    for turns in range(6):
        reading = asyncio.create_task(source.read())
        for _ in range(turns):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert by_tag(await source.read()) == {0: (1.0, GOOD), 1: (0.0, GOOD)}


async def test_dead_peer_is_told_in_words(make: Make) -> None:
    source = make(f"tcp://127.0.0.1:{free_port()}", ROW)
    with pytest.raises(NotConnected, match="connection refused"):
        await source.connect()
    with pytest.raises(NotConnected, match="not connected"):
        await source.read()


def test_name_nobody_knows_is_told_in_words() -> None:
    assert reason(socket.gaierror(-2, "Name or service not known")) == "name or service not known"


async def test_late_polls_are_skipped_and_counted(plc: Plc, make: Make, lost: Counter[str]) -> None:
    clock = FakeClock()
    source = make(plc.url, ROW, clock=clock, poll_seconds=1)
    await source.connect()
    await source.read()
    await clock.advance(4.5)
    plc.requests = 0
    await source.read()
    assert (plc.requests, lost) == (1, Counter(skipped_polls=3))
    reading = asyncio.create_task(source.read())
    await clock.settle()
    assert not reading.done()
    await clock.advance(0.5)  # the grid stays: 5.0 is the next point
    assert len(await reading) == 10


async def test_polls_on_time_lose_nothing(plc: Plc, make: Make, lost: Counter[str]) -> None:
    clock = FakeClock()
    source = make(plc.url, ROW, clock=clock, poll_seconds=1)
    await source.connect()
    await source.read()
    for _ in range(3):
        reading = asyncio.create_task(source.read())
        await clock.advance(1.0)
        assert len(await reading) == 10
    assert not lost


async def test_pause_is_kept_between_requests(plc: Plc, make: Make) -> None:
    clock = FakeClock()
    source = make(plc.url, {"a": {"at": 40001}, "b": {"at": 49001}}, clock=clock, pause="200ms")
    await source.connect()
    reading = asyncio.create_task(source.read())
    await until(lambda: plc.requests == 1, 5.0, lambda: "no request came")
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert plc.requests == 1
    while not reading.done():
        await clock.advance(0.2)
    assert plc.requests == 2


async def test_pause_after_connect_is_kept(plc: Plc, make: Make) -> None:
    clock = FakeClock()
    source = make(plc.url, ROW, clock=clock, pause_after_connect="2s")
    await source.connect()
    reading = asyncio.create_task(source.read())
    await clock.settle()
    await clock.advance(1.9)
    assert plc.requests == 0
    await clock.advance(0.2)
    assert len(await reading) == 10
