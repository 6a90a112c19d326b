"""What reading some tags costs, as far as that can be known: edge nodes send when something changes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from drivers.sparkplug.config import SparkplugOptions, place
from gateway.contract import Load, Tag


def plan(options: SparkplugOptions, tags: Sequence[Tag]) -> Load:
    """Arrays as waveforms are not counted either: how long they are is for their senders to say."""
    places = [place(tag, options) for tag in tags]
    nodes = {(each.group, each.node) for each in places}
    notes = [f"how often {len(tags)} metrics of {len(nodes)} edge nodes come is for these to say; measured once it runs"] if tags else []
    notes.append(f"a request for births at most every {options.rebirth_every:g} s and node; each is answered with all metrics of the node")
    return Load(readings=0.0, notes=tuple(notes))
