"""Units that think for a while, on lines whose answers do not say what they answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from struct import pack, unpack
from typing import Any

import pytest

from drivers.modbus import link
from gateway.contract import GOOD, NotConnected
from gateway.testkit.checks.watch import until
from gateway.testkit.servers.modbus import crc

Make = Callable[..., Any]


class Slow:
    """RTU over TCP. A holding register holds its address. `heard`: makes what the line carries before a unit answers."""

    def __init__(self) -> None:
        self.heard: Callable[[bytes], bytes] = lambda _: b""
        self.asked, self.off = 0, False
        self.url = ""
        self.writer: asyncio.StreamWriter

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        try:
            while question := await reader.readexactly(8):
                self.asked += 1
                writer.write(self.heard(question))
                if self.off:
                    continue
                await asyncio.sleep(0.1)
                start, count = unpack(">HH", question[2:6])
                answer = question[:2] + bytes([2 * count]) + pack(f">{count}H", *range(start, start + count))
                writer.write(answer + crc(answer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def slow() -> AsyncIterator[Slow]:
    line = Slow()
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    line.url = f"rtu+tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield line
    server.close()


async def test_answer_nobody_waits_for_any_more_is_no_answer_to_the_next_question(slow: Slow, make: Make) -> None:
    """One of two machines on a line is read anew, at another address, while its old question is under way."""
    other, old, new = (make(slow.url, {"t": {"at": at}}, unit_id=unit, timeout="1s") for unit, at in ((2, 40001), (1, 40002), (1, 40502)))
    await other.connect()
    await old.connect()
    reading = asyncio.create_task(old.read())
    await until(lambda: slow.asked == 1, 5.0, lambda: "nothing was asked")
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await old.close()
    await new.connect()
    assert (await new.read()).value.tolist() == [501.0]


@pytest.mark.parametrize("heard", [lambda _: b"\x00", lambda question: question, lambda question: b"\xff" + question])
async def test_what_the_line_adds_before_a_unit_has_thought_is_no_answer(
    slow: Slow, make: Make, heard: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RS-485 adapters echo what was sent, and add a byte when they switch over."""
    monkeypatch.setitem(link._QUIET_SECONDS, "tcp", 0.03)
    slow.heard = heard
    source = make(slow.url, {"a": {"at": 40002}, "b": {"at": 40402}}, timeout="1s")
    await source.connect()
    for _ in range(2):
        batch = await source.read()
        assert (batch.value.tolist(), batch.quality.tolist()) == ([1.0, 401.0], [GOOD, GOOD])


async def test_noise_of_a_line_at_rest_is_no_reason_to_leave_it(slow: Slow, make: Make) -> None:
    """RS-485 without its resistors, and a minute between two polls."""
    source = make(slow.url, {"t": {"at": 40002}}, timeout="1s")
    await source.connect()
    await source.read()
    for _ in range(5):
        slow.writer.write(bytes(range(256)) * 4)
        await slow.writer.drain()
        await asyncio.sleep(0.01)
    assert (await source.read()).value.tolist() == [1.0]


async def test_the_echo_alone_is_no_damaged_answer_of_a_unit_that_is_off(slow: Slow, make: Make) -> None:
    """It costs the line one timeout a minute, and not three: those are for units that answer, on a line with noise."""
    slow.heard, slow.off = lambda question: question, True
    source = make(slow.url, {"a": {"at": 40002}}, timeout="200ms")
    await source.connect()
    with pytest.raises(NotConnected, match=r"did not answer within 0\.2 s"):
        await source.read()
    assert slow.asked == 1
