"""What a view shows: the story's step and what was last seen."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from gateway.demo.look import Look

STEPS = (
    "The plant runs; the gateway reads it",
    "A pit grows in the outer race of pump-3's bearing",
    "One case is in the inbox, with the spectrum in it",
    "The uplink is cut; the oil of press-07 heats up",
    "The uplink is back; everything arrives, once",
    "Repaired; the cases are closed",
)


@dataclass
class Scene:
    """Changed by the story and by the poll, read by the view.

    step     position in STEPS; -1 while everything starts, len(STEPS) when the story is over
    missed   steps whose claim was not seen to come true
    page     with the inbox as its parameter, so that the page shows the cases too
    notes    single lines worth telling, in order
    """

    seconds: float
    page: str = ""
    step: int = -1
    began: float = field(default_factory=time.monotonic)
    cut: bool = False
    look: Look = field(default_factory=Look)
    notes: list[str] = field(default_factory=list)
    missed: set[int] = field(default_factory=set)

    @property
    def elapsed(self) -> float:
        """Seconds since everything ran; 0 before."""
        return time.monotonic() - self.began if self.step >= 0 else 0.0

    def begin(self) -> None:
        self.began, self.step = time.monotonic(), 0
