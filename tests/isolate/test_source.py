"""A driver that hangs, crashes, eats or lies is stopped; what it was reading is lost like any connection, and read again."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import numpy as np
import pytest

from gateway.contract import Batch, ConfigError, EndOfSource, NotConnected, Posted, Record, Trouble, Waveform
from gateway.isolate.process import Failure
from gateway.isolate.source import IsolatedSource


async def read_on(source: IsolatedSource) -> None:
    while True:
        await source.read()


async def live(source: IsolatedSource) -> None:
    """One life, as the pump leads it."""
    async with asyncio.timeout(20):
        await source.connect()
        await read_on(source)


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  other processes tell nobody
            await asyncio.sleep(0.01)


async def test_everything_a_source_gives_and_says_crosses_the_border_unchanged_and_nothing_is_read_ahead(bench: Any) -> None:
    """Asking again is the acknowledgement."""
    source = bench("all", after=99, poll_seconds=0.001)
    await source.connect()
    batch, block, record = await source.read()
    assert isinstance(batch, Batch)
    assert (batch.tag.dtype, batch.t_ns.tolist(), batch.quality.tolist()) == (np.int32, [1, 2], [0, 17])
    assert batch.value[0] == 3.5
    assert np.isnan(batch.value[1])
    assert isinstance(block, Waveform)
    assert (block.tag, block.t_ns, block.rate_hz, block.samples.tolist(), block.dropped, block.speed_rpm) == (
        0,
        5,
        1000.0,
        [0.0],
        4,
        1500.0,
    )
    assert record == Record(source="m1/order", t_ns=6, fields={"number": 1, "text": "?", "big": 2**80})
    assert bench.lost == {"buffer_full": 3, "skipped_polls": 2}
    assert bench.filled == [(1, 2, 3)]
    await asyncio.sleep(0.1)
    assert bench.lost["skipped_polls"] == 2, "it read on before what it gave was accepted"
    assert [item.fields["number"] for item in await source.read() if isinstance(item, Record)] == [2]


@pytest.mark.parametrize(
    ("bad", "reason", "why"),
    [
        ("loop", "no_answer", "was stopped: no answer for 0.5 s"),
        pytest.param("loop_in_connect", "no_answer", "was stopped: no answer for 0.5 s", marks=pytest.mark.long),
        ("memory", "memory", "was stopped: it wanted more memory than it may have"),
        ("segfault", "crashed", "its process ended: SIGSEGV"),
        pytest.param("exit", "crashed", "its process ended: exit code 3", marks=pytest.mark.long),
        ("flood", "flood", "was stopped: it flooded the gateway with messages"),
        ("stale", "flood", "was stopped: it flooded the gateway with messages"),
        ("heavy", "garbage", "was stopped: it sent a note of 4000"),
        ("garbage", "garbage", "was stopped: it sent "),
        pytest.param("huge", "garbage", "was stopped: it sent a message of 4294967295 bytes", marks=pytest.mark.long),
        pytest.param("cut", "no_answer", "was stopped: no answer for 0.5 s", marks=pytest.mark.long),
        ("wrong_tag", "garbage", "was stopped: it sent readings of tags that are not its own"),
    ],
)
async def test_what_it_does_ends_its_process_and_nothing_else(bench: Any, bad: str, reason: str, why: str) -> None:
    source = bench(bad, silence=0.5)
    with pytest.raises(NotConnected) as lost:
        await live(source)
    assert lost.value.peer == "m1"
    assert lost.value.why.startswith(why)
    assert bench.reasons == [reason]
    await source.close()
    assert bench.reasons == [reason]
    if bad == "loop":
        await source.connect()
        assert await source.read(), "a new process reads again"


@pytest.mark.long  # in a gateway, with one that loops: test_gateway.py
async def test_others_are_read_meanwhile(bench: Any) -> None:
    """Counted, not timed: every poll that was due while one source looped and another one ate was made."""
    good, loops, eats = bench("good", poll_seconds=0.02), bench("loop", silence=0.5), bench("memory", after=0)
    await asyncio.gather(good.connect(), loops.connect(), eats.connect())
    reading = [asyncio.create_task(read_on(each)) for each in (loops, eats)]
    values: list[float] = []
    while not all(task.done() for task in reading):
        (batch,) = await good.read()
        values += batch.value.tolist()
    assert values == [float(number) for number in range(1, len(values) + 1)]
    assert len(values) > 10
    assert {str(task.exception()).split(": ")[0] for task in reading} == {"m1"}
    assert sorted(bench.reasons) == ["memory", "no_answer"]


async def test_what_the_plugin_raises_is_raised_here(bench: Any) -> None:
    refused = bench("refused")
    with pytest.raises(NotConnected, match="connection refused") as lost:
        await refused.connect()
    assert (lost.value.peer, lost.value.login) == ("10.0.0.1:1", True)
    for bad, error in (("end", EndOfSource), ("bug", Failure)):
        source = bench(bad)
        await source.connect()
        with pytest.raises(error):
            await read_on(source)
        await source.close()
    assert bench.reasons == []


async def test_a_process_outlives_a_lost_connection_and_its_reading_that_was_given_up(bench: Any) -> None:
    source = bench("good", poll_seconds=5)
    for _ in range(2):
        await source.connect()
        reading = asyncio.create_task(source.read())
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        await source.close()
        await source.close()
    pids = {source._process._child.pid}
    await source.connect()
    assert {source._process._child.pid} == pids
    assert bench.reasons == []


async def test_a_source_that_does_not_close_is_ended(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.isolate.source.CLOSE_SECONDS", 0.2)
    source = bench("loop_in_close", silence=60)
    await source.connect()
    await source.close()
    assert bench.reasons == ["no_answer"]


async def test_what_cannot_be_built_in_time_is_ended(bench: Any) -> None:
    source = bench("loop_in_build")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await source.connect()
    await source.close()
    assert bench.reasons == ["no_answer"]
    assert source._process.ended


async def test_what_it_has_started_ends_with_it(bench: Any) -> None:
    import psutil

    source = bench("grandchild")
    await source.connect()
    with pytest.raises(NotConnected, match="exit code 4"):
        await read_on(source)

    def living() -> list[Any]:
        return [p for p in psutil.process_iter(["cmdline"]) if "grandchild-of-bad-driver" in (p.info["cmdline"] or [])]

    await until(lambda: not living())


async def test_it_gets_its_own_secrets_and_nothing_of_the_environment(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    monkeypatch.setenv("CANARY", "x")
    source = bench("environment")
    await source.connect()
    await until(lambda: bench.told)
    assert {"PATH", "OMP_NUM_THREADS"} <= set(bench.told[0].facts["environment"])
    assert not {"NOTIFY_SOCKET", "CANARY"} & set(bench.told[0].facts["environment"])
    named = bench("secret", password={"secret": "named"})
    await named.connect()
    await until(lambda: len(bench.told) == 2)
    assert bench.told[1].why == "hunter2"
    other = bench("secret", password={"secret": "other"})
    with pytest.raises(ConfigError, match="not named"):
        await other.connect()


async def test_what_is_posted_reaches_it_and_is_answered_also_when_it_dies(bench: Any) -> None:
    source = bench("post")
    await source.connect()
    await until(lambda: bench.receivers and bench.receivers[-1])
    receive = bench.receivers[-1]
    answer = await receive(Posted(content_type="text/csv", body=b"a;b", key="k1"))
    assert (answer.status, answer.body) == (202, {"length": 3, "key": "k1"})
    reading = asyncio.create_task(read_on(source))
    answer = await receive(Posted(content_type="text/csv", body=b"die"))
    assert answer.status == 503
    with pytest.raises(NotConnected, match="exit code 3"):
        await reading
    assert bench.receivers[-1] is None


async def test_stopped_again_and_again_is_a_trouble_of_the_source(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.isolate.source.OFTEN", 2)
    source = bench("exit", after=1)
    for _ in range(2):
        assert not bench.told
        with pytest.raises(NotConnected):
            await live(source)
        await source.close()
    (told,) = bench.told
    assert (told.trouble, told.active, told.why) == (Trouble.STOPPED, True, "its process ended: exit code 3")
    monkeypatch.setattr("gateway.isolate.source.WITHIN_SECONDS", 0.0)
    await source.connect()
    await source.read()
    assert (bench.told[-1].trouble, bench.told[-1].active) == (Trouble.STOPPED, False)


async def test_what_it_prints_is_in_the_log_within_bounds(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    source = bench("print", after=0)
    await source.connect()
    await source.read()
    await until(lambda: caplog.records)
    for _ in range(5):
        await source.read()
    texts = [record.fields["text"] for record in caplog.records]  # type: ignore[attr-defined]
    assert texts[0] == "x" * 500
    assert len(texts) <= 20


async def test_one_that_hangs_while_nobody_asks_is_counted_when_it_is_connected_again(bench: Any) -> None:
    source = bench("good", silence=0.5)
    await source.connect()
    os.kill(source._process._child.pid, signal.SIGSTOP)
    await until(lambda: source._process.ended)
    assert bench.reasons == []
    await source.connect()
    assert bench.reasons == ["no_answer"]
    assert await source.read()


async def test_many_readings_at_once_come_through_whole(bench: Any) -> None:
    source = bench("large", after=99, megabytes=256)
    await source.connect()
    for number in (1.0, 2.0, 3.0):
        (batch,) = await source.read()
        assert (len(batch), batch.value[-1], batch.t_ns[-1]) == (500_000, number, 499_999)
