"""What goes into a case: excerpt, trend and picture, small whatever the block."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from gateway.testkit.rigs.vibration import BPFO, RATE_HZ, bursts
from models.vibration.drawing import MOST_BYTES, svg
from models.vibration.evidence import MOST_POINTS, trend_json, waveform_json

T_NS = 1_800_000_000_000_000_000
TEXT = "{http://www.w3.org/2000/svg}text"


@pytest.mark.parametrize("rate_hz", [2000.0, RATE_HZ, 51_200.0])
def test_the_excerpt_holds_the_largest_peak_at_its_time(rate_hz: float) -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, int(2 * rate_hz)).astype(np.float32)
    samples[int(1.5 * rate_hz)] = -7.0
    found = waveform_json(samples, rate_hz, T_NS, "g")
    assert len(found["values"]) <= MOST_POINTS
    at = found["values"].index(-7.0)
    assert found["t_ns"] / 1e9 + at * found["step_seconds"] == pytest.approx(T_NS / 1e9 + 1.5, abs=2 * found["step_seconds"] + 1e-6)
    assert found["step_seconds"] * len(found["values"]) == pytest.approx(0.25, rel=0.02)


def test_a_block_shorter_than_the_excerpt_is_shown_whole() -> None:
    samples = np.arange(100, dtype=np.float32)
    assert waveform_json(samples, 1000.0, T_NS, "g") == {"t_ns": T_NS, "step_seconds": 0.001, "values": samples.tolist(), "unit": "g"}


def test_the_trend_leaves_out_what_was_not_measured() -> None:
    seconds, value = np.array([np.nan, 1000.0, 1600.0]), np.array([np.nan, 1.0, 2.0])
    assert trend_json(seconds, value, (1.4, 2.8, 4.5)) == {
        "from_ns": 1_000_000_000_000,
        "t": [0.0, 600.0],
        "v": [1.0, 2.0],
        "unit": "mm/s rms",
        "limits": [1.4, 2.8, 4.5],
    }


def evidence() -> dict[str, Any]:
    random = np.random.default_rng(1)
    lines = [{"name": f"{i}xBPFO", "hz": 107.0 * i} for i in range(1, 17)]
    return {
        "waveform": waveform_json(bursts(1, BPFO, 60_000), RATE_HZ, T_NS, "g"),
        "envelope_spectrum": {"hz_start": 0.0, "hz_step": 2.5, "amplitudes": random.random(800).tolist(), "lines": lines},
        "velocity_trend": trend_json(np.arange(256) * 600.0, random.random(256), (1.4, 2.8, 4.5)),
    }


def test_the_picture_is_sound_small_and_shows_the_lines() -> None:
    drawn = svg(evidence(), 'pump <3> & "x"')
    assert len(drawn.encode()) <= MOST_BYTES
    said = [node.text for node in ET.fromstring(drawn).iter(TEXT)]
    assert said[0] == 'pump <3> & "x"'
    assert "1xBPFO" in said
    assert [text.split(",")[0].split(" to")[0] for text in said if text and "up to" in text] == [
        "waveform",
        "envelope spectrum",
        "velocity in mm/s rms",
    ]


def test_the_picture_shows_what_there_is() -> None:
    drawn = svg({"waveform": evidence()["waveform"]}, "velocity")
    assert drawn.count("<polyline") == 1
