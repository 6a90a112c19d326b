"""One recording through the product's detector: what does it tell of the bearing?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway import registry
from gateway.contract import Bearing, DetectorContext, Finding, Machine, State, Tag, TagOptions, Waveform

CLASSES = {"IR": "inner_race", "OR": "outer_race", "B": "ball"}
"""What the recordings call a fault, and what we call it."""


class Absent(SystemExit):
    """The recordings are not there; says what should be where."""

    def __init__(self, what: Path, why: str) -> None:
        super().__init__(f"{what} is not there: {why}")


@dataclass(frozen=True)
class Piece:
    """A stretch of a recording: acceleration in g of a known bearing on a shaft of known speed. `fault`: empty if healthy."""

    name: str
    samples: NDArray[np.float32]
    rate_hz: float
    rpm: float
    bearing: str
    fault: str = ""


def told(piece: Piece, seconds: float | None = None, **options: Any) -> dict[str, Any]:
    """The last opinion on the bearing: ``{fault, score, explanation}``; `fault` is empty if none is claimed.

    seconds   cut into blocks of this length, one after the other; None: one block
    """
    length = len(piece.samples) if seconds is None else int(seconds * piece.rate_hz)
    blocks = [piece.samples[at : at + length] for at in range(0, len(piece.samples) - length + 1, length)]
    findings = _findings(piece, blocks, options)
    mine = [finding for finding in findings if finding.condition == "x_bearing"]
    if not mine:
        return {"fault": "", "score": None, "explanation": {}}
    last = mine[-1]
    return {
        "fault": last.key if last.state is State.ACTIVE else "",
        "score": round(last.score, 3),
        "explanation": dict(last.explanation),
    }


def _findings(piece: Piece, blocks: Sequence[NDArray[np.float32]], options: dict[str, Any]) -> list[Finding]:
    plugin = registry.detector("vibration")
    context = DetectorContext(
        name="vibration-1",
        tags=(Tag(0, "m", "x", TagOptions(kind="waveform", unit="g")),),
        machines={"m": Machine(name="m", bearing=Bearing(designation=piece.bearing, speed=piece.rpm))},
    )
    detector = plugin.build(plugin.options.model_validate({"on": "m/x", "confirm": 1, **options}), context)
    found: list[Finding] = []
    for number, samples in enumerate(blocks, 1):
        block = Waveform(tag=0, t_ns=number * 60 * 10**9, rate_hz=piece.rate_hz, samples=samples, speed_rpm=piece.rpm)
        found += detector.process(block)
    return found
