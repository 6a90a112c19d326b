"""The benchmark through the gateway's line, small: every block is looked at, and nothing dropped."""

from __future__ import annotations

import pytest

from benchmarks.vibration import through


def test_every_block_of_every_channel_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(through, "CHANNELS", 8)
    monkeypatch.setattr(through, "SECONDS", 4)
    found = through.figures(bearing=True)
    # Two first opinions of each channel, signal and velocity, after three blocks, and one on its bearing.
    assert (found["blocks"], found["dropped"], found["findings"]) == (32, 0, 24)
    assert found["channels_per_core"] > 0
    (measure,) = through.measures({"without_bearing": found, "with_bearing": found})
    assert measure.must == 500


def test_what_was_dropped_was_not_carried() -> None:
    lossy = {"channels_per_core": 900, "dropped": 1, "channels": 8}
    (measure,) = through.measures({"without_bearing": lossy, "with_bearing": lossy})
    assert measure.met == "no"
