"""Recordings from disk, played against a clock that the test turns."""

from __future__ import annotations

import asyncio
import errno
import io
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from drivers.replay import plugin
from gateway.contract import GOOD, UNCERTAIN, Batch, ConfigError, EndOfSource, Item, NotConnected, Quality, Source, Waveform
from gateway.testkit.clock import FakeClock
from gateway.testkit.contexts import source_context

T0 = 1_790_000_000_000_000_000
S = 1_000_000_000
Play = Callable[..., Source]


@pytest.fixture
def recording(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "recording.csv"
        path.write_bytes(text.encode("utf-8"))
        return path

    return write


def play(path: Path | str, tags: Mapping[str, Any], *, clock: Any = None, lost: Counter[str] | None = None, **options: Any) -> Source:
    context = source_context(plugin, tags, clock=clock, lost=lost)
    return plugin.build(plugin.options.model_validate({"replay": str(path), "speed": 0, **options}), context)


@asynccontextmanager
async def opened(source: Source) -> AsyncIterator[Source]:
    try:
        await source.connect()
        yield source
    finally:
        await source.close()


async def everything(source: Source) -> list[Item]:
    """All items until the end."""
    items: list[Item] = []
    async with asyncio.timeout(10), opened(source):
        while True:
            try:
                got = await source.read()
            except EndOfSource:
                return items
            items += got if isinstance(got, list) else [got]


async def readings(source: Source) -> Batch:
    return Batch.concat([item for item in await everything(source) if isinstance(item, Batch)])


async def test_a_wide_file_gives_each_cell_at_its_own_time(recording: Any) -> None:
    path = recording("﻿time, a,b,c\r\n1790000000,1,2,x\r\n1790000001.5,,3,\r\n\r\n1790000003,4,oops,5\r\n")
    batch = await readings(play(path, {"a": {}, "bee": {"column": "b"}}))
    assert batch.tag.tolist() == [0, 1, 1, 0, 1]
    assert (batch.t_ns - T0).tolist() == [0, 0, 1_500_000_000, 3 * S, 3 * S]
    assert np.array_equal(batch.value, [1, 2, 3, 4, np.nan], equal_nan=True)
    assert batch.quality.tolist() == [GOOD, GOOD, GOOD, GOOD, Quality.BAD_TYPE]


async def test_a_long_file_gives_the_tags_that_are_configured(recording: Any) -> None:
    path = recording("at,tag,value,quality\n1790000000,a,1,\n1790000001,other,9,\n1790000002,b,2,uncertain\n1790000003,a,3,device\n")
    batch = await readings(play(path, {"a": {}, "b": {}}, time="at"))
    assert batch.tag.tolist() == [0, 1, 0]
    assert batch.quality.tolist() == [GOOD, UNCERTAIN, Quality.BAD_DEVICE]
    assert np.array_equal(batch.value, [1, 2, np.nan], equal_nan=True)


async def test_two_tags_may_read_one_column(recording: Any) -> None:
    for text in ("time,a\n1790000000,1\n", "time,tag,value\n1790000000,a,1\n"):
        batch = await readings(play(recording(text), {"a": {}, "again": {"column": "a"}}))
        assert (batch.tag.tolist(), batch.value.tolist()) == ([0, 1], [1, 1])


@pytest.mark.parametrize(
    ("text", "qualities", "lost"),
    [
        ("time,a\n1790000000,1\n1790000001,2,3\n1790000002\nnever,4\n1790000003,5\n", [GOOD, 19, 19, GOOD], 1),
        (
            "time,tag,value\n1790000000,a,1\n1790000001,a,2,3\n1790000002,a\n1790000003\nnever,a,4\n1790000004,a,5\n",
            [GOOD, 19, 19, GOOD],
            2,
        ),
        ('time,a\n1790000000,"1\n', [GOOD], 0),
        ("time,a\n" + "x" * 200_000 + ",1\n1790000001,2\n", [GOOD], 1),
        ("time,a\n\x00,1\n1790000001,2\n", [GOOD], 1),
    ],
)
async def test_a_bad_line_is_bad_or_counted_and_stops_nothing(recording: Any, text: str, qualities: list[int], lost: int) -> None:
    counted: Counter[str] = Counter()
    batch = await readings(play(recording(text), {"a": {}}, lost=counted))
    assert batch.quality.tolist() == qualities
    assert counted == ({"bad_line": lost} if lost else {})


async def test_a_file_of_bad_lines_only_ends_cleanly(recording: Any) -> None:
    counted: Counter[str] = Counter()
    assert await everything(play(recording("time,a\n" + "never,1\n" * 5000), {"a": {}}, lost=counted)) == []
    assert counted == {"bad_line": 5000}


async def test_a_large_file_comes_in_portions_and_whole(recording: Any) -> None:
    text = "time,a,b\n" + "".join(f"{1_790_000_000 + i},{i},{-i}\n" for i in range(10_500))
    items = await everything(play(recording(text), {"a": {}, "b": {}}))
    batch = Batch.concat([item for item in items if isinstance(item, Batch)])
    assert max(len(item) for item in items if isinstance(item, Batch)) <= 4_000
    assert batch.value[batch.tag == 0].tolist() == list(range(10_500))
    assert len(batch) == 21_000


async def test_speed_paces_by_the_recorded_times(recording: Any) -> None:
    clock = FakeClock()
    path = recording("time,a\n1790000000,0\n1790000010,10\n1790000005,5\n1790000030,30\n")
    async with opened(play(path, {"a": {}}, clock=clock, speed=10)) as source:
        first = await source.read()
        assert isinstance(first, Batch)
        assert first.value.tolist() == [0]
        reading = asyncio.create_task(source.read())
        await clock.advance(0.99)
        assert not reading.done()
        await clock.advance(0.02)
        late = await reading
        assert isinstance(late, Batch)
        assert late.value.tolist() == [10, 5]  # the older one is delivered with the one before it, at its own time
        assert (late.t_ns - T0).tolist() == [10 * S, 5 * S]
        reading = asyncio.create_task(source.read())
        await clock.advance(1.9)
        assert not reading.done()
        await clock.advance(0.2)
        assert (await reading).value.tolist() == [30]  # type: ignore[union-attr]
        with pytest.raises(EndOfSource):
            await source.read()


async def test_a_cancelled_read_loses_nothing_and_connecting_again_begins_anew(recording: Any) -> None:
    source = play(recording("time,a\n" + "".join(f"{1_790_000_000 + i},{i}\n" for i in range(5000))), {"a": {}})
    for _ in range(2):
        values: list[float] = []
        async with opened(source):
            while len(values) < 5000:
                cancelled = asyncio.create_task(source.read())
                await asyncio.sleep(0)
                cancelled.cancel()
                await asyncio.wait([cancelled])
                batch = await source.read()
                assert isinstance(batch, Batch)
                values += batch.value.tolist()
        assert values == list(range(5000))


async def test_npz_columns_and_blocks_are_merged_by_time(tmp_path: Path) -> None:
    path = tmp_path / "recording.npz"
    t_ns = T0 + np.arange(4) * S
    blocks = np.arange(8, dtype=np.float32).reshape(2, 4)
    np.savez(
        path,
        t_ns=t_ns,
        speed=np.array([1.0, np.nan, np.inf, 4.0]),
        state=np.array([True, False, True, True]),
        name=np.array(["a", "b", "c", "d"]),
        vib=blocks,
        vib_t_ns=T0 + np.array([0, 2 * S]),
        vib_rate_hz=4.0,
    )
    tags: dict[str, Any] = {"speed": {}, "state": {}, "name": {}, "vibration": {"column": "vib", "kind": "waveform"}}
    items = await everything(play(path, tags))
    waves = [item for item in items if isinstance(item, Waveform)]
    assert [(wave.tag, wave.t_ns - T0, wave.rate_hz, wave.samples.tolist()) for wave in waves] == [
        (3, 0, 4.0, [0, 1, 2, 3]),
        (3, 2 * S, 4.0, [4, 5, 6, 7]),
    ]
    batch = Batch.concat([item for item in items if isinstance(item, Batch)])
    speed, state, name = (batch.select(batch.tag == tag) for tag in range(3))
    assert np.array_equal(speed.value, [1, np.nan, 4], equal_nan=True)
    assert speed.quality.tolist() == [GOOD, Quality.BAD_NOT_FINITE, GOOD]
    assert (speed.t_ns - T0).tolist() == [0, 2 * S, 3 * S]
    assert state.value.tolist() == [1, 0, 1, 1]
    assert name.quality.tolist() == [Quality.BAD_TYPE] * 4
    kinds = [type(item).__name__ for item in items]
    assert kinds == ["Batch", "Waveform", "Batch", "Waveform"]  # a block comes when its last sample was taken


async def test_a_block_is_paced_to_its_last_sample(tmp_path: Path) -> None:
    path, clock = tmp_path / "recording.npz", FakeClock()
    np.savez(path, t_ns=np.array([T0]), a=np.array([1.0]), v=np.ones((1, 8)), v_t_ns=np.array([T0]), v_rate_hz=4)
    async with opened(play(path, {"a": {}, "v": {"kind": "waveform"}}, clock=clock, speed=1)) as source:
        assert isinstance(await source.read(), Batch)
        reading = asyncio.create_task(source.read())
        await clock.advance(1.9)
        assert not reading.done()
        await clock.advance(0.2)
        assert isinstance(await reading, Waveform)


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"a": np.ones(3)}, "t_ns"),
        ({"t_ns": np.arange(3), "b": np.ones(3)}, "no array 'a' for m1/a; there are t_ns, b"),
        ({"t_ns": np.arange(3), "a": np.ones(2)}, r"array 'a' has the shape \(2,\)"),
        ({"t_ns": np.ones(3), "a": np.ones(3)}, "int64 nanoseconds"),
        ({"t_ns": np.arange(3), "a": np.array([None, 1, 2])}, "pickle"),
    ],
)
async def test_an_npz_that_does_not_fit_says_what_is_wrong(tmp_path: Path, arrays: dict[str, Any], problem: str) -> None:
    path = tmp_path / "recording.npz"
    np.savez(path, **arrays)
    with pytest.raises(ConfigError, match=problem):
        await play(path, {"a": {}}).connect()


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"v": np.ones(8)}, "must be numbers"),
        ({"v_t_ns": np.arange(3)}, "3 blocks"),
        ({"v_rate_hz": 0.0}, "above 0"),
        ({"v_rate_hz": np.nan}, "above 0"),
    ],
)
async def test_blocks_that_do_not_fit_say_what_is_wrong(tmp_path: Path, changed: dict[str, Any], problem: str) -> None:
    path = tmp_path / "recording.npz"
    np.savez(path, **({"v": np.ones((2, 4)), "v_t_ns": np.arange(2), "v_rate_hz": 4.0} | changed))
    with pytest.raises(ConfigError, match=problem):
        await play(path, {"v": {"kind": "waveform"}}).connect()


async def test_a_file_that_is_no_npz_is_a_config_error(tmp_path: Path) -> None:
    for content in (b"", b"time,a\n", b"PK\x03\x04 but no more"):
        (tmp_path / "recording.npz").write_bytes(content)
        with pytest.raises(ConfigError, match=r"recording\.npz"):
            await play(tmp_path / "recording.npz", {"a": {}}).connect()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("when,a\n1,2\n", "no column 'time' with the time; there are when, a"),
        ("time,b\n1,2\n", "no column 'a' for m1/a; there are time, b"),
        ("time,a,a\n1,2,3\n", "two columns have one name"),
        ("t\0i\0m\0e\0,\0a\0\n\0", "is not UTF-8 but UTF-16; save it as 'CSV UTF-8'"),
        ("", "there are none"),
    ],
)
async def test_a_header_that_does_not_fit_says_what_there_is(recording: Any, text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        await play(recording(text), {"a": {}}).connect()


async def test_a_missing_file_is_not_connected_or_names_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotConnected, match=r"gone\.csv: no such file"):
        await play(tmp_path / "gone.csv", {"a": {}}).connect()
    with pytest.raises(ConfigError, match=f"{tmp_path}/gone.csv"):
        await play("gone.csv", {"a": {}}).connect()
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(NotConnected, match="is a directory"):
        await play(tmp_path / "folder.csv", {"a": {}}).connect()
    (tmp_path / "here.csv").write_text("time,a\n1790000000,7\n")
    assert (await readings(play("here.csv", {"a": {}}))).value.tolist() == [7]


class _Torn(io.TextIOWrapper):
    """A file on a stick that is pulled after its header was read."""

    def __next__(self) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


async def test_a_disk_that_goes_away_is_not_connected(recording: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    source = play(recording("time,a\n2026-01-01T00:00:00Z,1\n"), {"a": {}}, speed=0)
    await source.connect()
    monkeypatch.setattr(source._recording, "_lines", _Torn(io.BytesIO()))  # type: ignore[attr-defined]
    with pytest.raises(NotConnected, match="input/output error"):
        await source.read()
    await source.close()


def test_options_that_cannot_work_are_refused() -> None:
    for options in (
        {"replay": "a.txt"},
        {"replay": "a.csv", "speed": -1},
        {"replay": "a.csv", "loop": True},
        {"replay": "a.csv", "restamp": False},
    ):
        with pytest.raises(ValidationError):
            plugin.options.model_validate(options)
    assert plugin.options.model_validate({"replay": "a.csv"}).when_full == "block"


async def test_the_sample_beside_the_readme_plays(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(plugin.build.__code__.co_filename).parent
    batch = await readings(play(folder / "sample.csv", {"oil_temperature": {}, "oil_pressure": {}, "running": {}}))
    assert batch.value[batch.tag == 0].max() > 70
    assert np.count_nonzero(batch.quality == Quality.BAD_TYPE) == 1
