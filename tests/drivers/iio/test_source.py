"""A sensor in a fake sysfs: what is set, what is read, and what is said when that cannot be."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway import registry
from gateway.contract import GOOD, Batch, Clock, ConfigError, Item, NotConnected, Quality, Source, Waveform
from gateway.testkit.clock import FakeClock
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.iio import SCALE, Accelerometer

WAVE = {"x": {"channel": "accel_x", "kind": "waveform", "unit": "m/s2"}}
NOW = 1_800_000_000_000_000_000
PERIOD = 312_500


@pytest.fixture
def sensor(tmp_path: Path) -> Iterator[Accelerometer]:
    made = Accelerometer(tmp_path)
    made.start()
    yield made
    made.stop()


def source(
    sensor: Accelerometer, tags: dict[str, Any], *, clock: Clock | None = None, lost: Counter[str] | None = None, **more: Any
) -> Source:
    plugin = registry.source("iio")
    given = {"iio": "adxl345", "root": str(sensor.root), "block": "50ms"} | more
    return plugin.build(plugin.options.model_validate(given), source_context(plugin, tags, clock=clock, lost=lost))


async def got(source: Source) -> list[Item]:
    items = await source.read()
    return items if isinstance(items, list) else [items]


async def test_a_block_has_its_time_its_unit_and_its_rate(sensor: Accelerometer) -> None:
    one = source(sensor, WAVE | {"z": {"channel": "accel_z", "kind": "waveform", "scale": 2.0, "unit": "g"}})
    await one.connect()
    sensor.sample(np.arange(160), z=-4096, t_ns=NOW + np.arange(160) * PERIOD)
    x, z = await got(one)
    await one.close()
    assert isinstance(x, Waveform)
    assert isinstance(z, Waveform)
    assert (x.tag, x.t_ns, x.rate_hz, x.dropped) == (0, NOW, 3200.0, 0)
    assert x.samples == pytest.approx((np.arange(160) + 2) * SCALE)
    assert z.samples == pytest.approx(np.full(160, -4096 * SCALE * 2))


async def test_the_device_is_set_up_and_switched_off_again(sensor: Accelerometer) -> None:
    sensor.set("buffer/enable", "1\n")
    one = source(sensor, WAVE, sampling_frequency_hz=1600, trigger="adxl345-dev0", watermark=16, buffer="2s")
    await one.connect()
    files = ("buffer/enable", "buffer/length", "buffer/watermark", "trigger/current_trigger", "sampling_frequency")
    assert [sensor.text(name) for name in files] == ["1", "3200", "16", "adxl345-dev0", "1600"]
    elements = ("accel_x", "accel_y", "accel_z", "timestamp")
    assert [sensor.text(f"scan_elements/in_{name}_en") for name in elements] == ["1", "0", "0", "1"]
    await one.close()
    assert sensor.text("buffer/enable") == "0"


async def test_lost_samples_are_told_in_the_block_and_counted(sensor: Accelerometer) -> None:
    lost = Counter[str]()
    one = source(sensor, WAVE, lost=lost)
    await one.connect()
    times = NOW + np.concatenate([np.arange(100), np.arange(60) + 109]) * PERIOD
    sensor.sample(np.zeros(160), t_ns=times)
    (block,) = await got(one)
    await one.close()
    assert isinstance(block, Waveform)
    assert block.dropped == 9
    assert lost == {"buffer_overrun": 9}


@pytest.mark.parametrize("at", [60, 160], ids=["in a block", "between two"])
async def test_a_clock_that_is_set_by_a_day_loses_no_samples(sensor: Accelerometer, at: int) -> None:
    lost = Counter[str]()
    one = source(sensor, WAVE, lost=lost)
    await one.connect()
    times = NOW + np.arange(320) * PERIOD
    times[at:] += 86_400 * 10**9
    sensor.sample(np.zeros(320), t_ns=times)
    items = await got(one)
    await one.close()
    assert [(block.dropped, block.quality) for block in items if isinstance(block, Waveform)] == [(0, GOOD), (0, GOOD)]
    assert not lost


async def test_a_clock_that_is_not_utc_tells_gaps_but_no_time(sensor: Accelerometer, monkeypatch: pytest.MonkeyPatch) -> None:
    sensor.set("current_timestamp_clock", "monotonic\n")
    clock = FakeClock(NOW)
    read_only(monkeypatch, "current_timestamp_clock")
    one = source(sensor, WAVE, clock=clock)
    await one.connect()
    sensor.sample(np.zeros(160), t_ns=np.arange(160) * PERIOD)
    (block,) = await got(one)
    await one.close()
    assert block.t_ns == NOW - 160 * PERIOD  # type: ignore[union-attr]


async def test_slow_channels_are_read_one_by_one_and_a_refusal_is_bad_alone(sensor: Accelerometer) -> None:
    one = source(sensor, {"t": {"channel": "temp"}, "y": {"channel": "accel_y"}}, poll_seconds=0.01)
    sensor.set("in_accel_y_raw", "busy")  # what cannot be read, as while the buffer has the device
    await one.connect()
    (batch,) = await got(one)
    await one.close()
    assert isinstance(batch, Batch)
    assert batch.value[0] == 21500.0
    assert batch.quality.tolist() == [0, Quality.BAD_DEVICE]
    assert sensor.text("buffer/enable") == "0\n"


async def test_a_sensor_that_was_unplugged_is_not_connected(sensor: Accelerometer) -> None:
    for tags in (WAVE, {"t": {"channel": "temp"}}):
        one = source(sensor, tags, poll_seconds=0.01)
        await one.connect()
        sensor.stop()
        with pytest.raises(NotConnected, match="the device is gone"):
            await one.read()
        await one.close()
        sensor.start()


async def test_a_trigger_that_does_not_run_is_not_connected_in_words(sensor: Accelerometer) -> None:
    import asyncio

    clock = FakeClock(NOW)
    one = source(sensor, WAVE, clock=clock)
    await one.connect()
    reading = asyncio.create_task(one.read())
    async with asyncio.timeout(10):
        while not reading.done():
            await clock.advance(0.5)
            await asyncio.sleep(0.001)
    with pytest.raises(NotConnected, match="does its trigger run"):
        await reading
    await one.close()


def read_only(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Root may write everything, so the system call says it."""
    opened = os.open

    def refuse(path: Any, flags: int, *more: Any, **others: Any) -> int:
        if flags & os.O_WRONLY and str(path).endswith(names):
            raise OSError(30, "Read-only file system")
        return opened(path, flags, *more, **others)

    monkeypatch.setattr(os, "open", refuse)


async def test_without_the_right_to_write_what_is_set_already_is_enough(sensor: Accelerometer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (("buffer/length", "12800"), ("scan_elements/in_timestamp_en", "1")):
        sensor.set(name, text)
    read_only(monkeypatch, "_en", "length", "frequency")
    one = source(sensor, WAVE, sampling_frequency_hz=3200)
    await one.connect()
    sensor.sample(np.arange(160), y=7, z=9, t_ns=NOW + np.arange(160) * PERIOD)
    (block,) = await got(one)
    assert block.samples == pytest.approx((np.arange(160) + 2) * SCALE)  # type: ignore[union-attr]
    await one.close()
    with pytest.raises(NotConnected, match="buffer/length cannot be set to 19200: read-only file system"):
        await source(sensor, WAVE, buffer="6s").connect()


@pytest.mark.parametrize(
    ("more", "tags", "why"),
    [
        ({}, {"x": {"channel": "accel_q", "kind": "waveform"}}, "no channel 'accel_q' in its buffer; there are accel_x, accel_y, accel_z"),
        ({}, {"x": {"channel": "humidity"}}, "no channel 'humidity' that can be read; there are accel_x, accel_y, accel_z, temp"),
    ],
)
async def test_what_can_never_work_names_what_there_is(sensor: Accelerometer, more: Any, tags: Any, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await source(sensor, tags, **more).connect()
    assert why in str(caught.value)


async def test_a_device_is_found_by_name_or_number(sensor: Accelerometer) -> None:
    with pytest.raises(NotConnected, match=r"no such device; there are adxl345 \(iio:device0\)"):
        await source(sensor, WAVE, iio="kx022").connect()
    second = Accelerometer(sensor.root, number=1)
    second.start()
    with pytest.raises(ConfigError, match="2 devices are named 'adxl345'; write one of iio:device0, iio:device1"):
        await source(sensor, WAVE).connect()
    one = source(sensor, WAVE, iio="iio:device1")
    await one.connect()
    assert (sensor.text("buffer/enable"), second.text("buffer/enable")) == ("0\n", "1")
    await one.close()
    second.stop()
