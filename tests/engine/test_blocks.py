"""Whole blocks beside cases: readable, bounded in days and bytes, and no trouble when the disk refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.config.settings import IncidentSettings
from gateway.contract import Tag, TagOptions, Waveform
from gateway.engine.blocks import Blocks
from gateway.telemetry.counts import Counts
from gateway.testkit.clock import FakeClock

T_NS = 1_800_000_000_000_000_000
TAGS = (Tag(0, "pump-3", "x", TagOptions(kind="waveform", unit="g")), Tag(1, "pump-3", "y", TagOptions(kind="waveform", unit="g")))


class Kept:
    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder, self.counts, self.clock = folder / "blocks", Counts(), FakeClock()
        self.files = ThreadPoolExecutor(1)
        self.blocks = Blocks(self.folder, self.files, self.clock, self.counts)
        self.blocks.configure(IncidentSettings(**settings), TAGS)

    def keep(self, number: int, *, tag: int = 0, samples: int = 12_000) -> None:
        values = np.arange(samples, dtype=np.float32)
        self.blocks.keep([Waveform(tag=tag, t_ns=T_NS + number, rate_hz=12_000.0, samples=values, speed_rpm=1480.0)])
        self.files.submit(lambda: None).result(5)

    def later(self, seconds: float) -> None:
        self.clock.set_wall(self.clock.now_ns() + int(seconds * 1e9))

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    made: list[Kept] = []

    def make(**settings: Any) -> Kept:
        made.append(Kept(tmp_path, **settings))
        return made[-1]

    yield make
    for one in made:
        one.files.shutdown()


def test_a_block_is_a_file_that_tells_all_of_it(make: Any) -> None:
    kept = make()
    kept.keep(0)
    kept.keep(0)
    assert kept.names == [f"pump-3.x.{T_NS}.npz"]
    with np.load(kept.folder / kept.names[0], allow_pickle=False) as saved:
        assert saved["x"].tolist() == list(range(12_000))
        assert (float(saved["fs"]), float(saved["rpm"]), int(saved["t_ns"]), str(saved["unit"])) == (12_000.0, 1480.0, T_NS, "g")


def test_the_oldest_make_room(make: Any) -> None:
    """A block of 100,000 samples has 0.4 MB, so two of them fit into one."""
    kept = make(blocks_megabytes=1)
    for number in range(4):
        kept.keep(number, samples=100_000)
        kept.later(1)
    assert kept.names == [f"pump-3.x.{T_NS + 2}.npz", f"pump-3.x.{T_NS + 3}.npz"]
    kept.keep(5, samples=300_000)
    assert kept.names == [f"pump-3.x.{T_NS + 2}.npz", f"pump-3.x.{T_NS + 3}.npz"]
    assert kept.counts.total("waveforms_not_kept", reason="too_large") == 1


def test_what_is_too_old_goes(make: Any) -> None:
    kept = make(keep_blocks_days=2)
    kept.keep(0)
    kept.later(86_400)
    kept.keep(1, tag=1)
    assert len(kept.names) == 2
    kept.later(1.5 * 86_400)
    kept.keep(2)
    assert kept.names == [f"pump-3.x.{T_NS + 2}.npz", f"pump-3.y.{T_NS + 1}.npz"]


def test_none_are_kept_where_none_are_wanted(make: Any) -> None:
    kept = make(blocks_megabytes=0)
    kept.keep(0)
    assert not kept.folder.exists()


def test_a_disk_that_refuses_is_told_once_and_counted(make: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = make()
    (tmp_path / "blocks").write_text("a file in the way")
    kept.keep(0)
    kept.keep(1)
    assert kept.counts.total("waveforms_not_kept", reason="disk") == 2
    assert [record.getMessage() for record in caplog.records] == ["blocks cannot be kept"]
    (tmp_path / "blocks").unlink()
    kept.keep(2)
    assert len(kept.names) == 1


def test_a_block_that_waits_for_the_disk_while_the_clock_leaps_makes_no_other_one_old(make: Any) -> None:
    """It was given by the time before, and what is kept follows the clock behind it."""
    kept, go = make(keep_blocks_days=5), threading.Event()
    kept.keep(0)
    kept.files.submit(go.wait, 10)
    kept.blocks.keep([Waveform(tag=1, t_ns=T_NS + 1, rate_hz=12_000.0, samples=np.zeros(9, np.float32))])
    kept.later(30 * 86_400)
    kept.blocks.leap(30 * 86_400 * 10**9)
    go.set()
    kept.keep(2)
    assert len(kept.names) == 3
    kept.later(4 * 86_400)
    kept.keep(3)
    assert len(kept.names) == 4
    kept.later(2 * 86_400)
    kept.keep(4)
    assert len(kept.names) == 2, "each as old as it is"
