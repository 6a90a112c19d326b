"""The summary of a run, and whether the story came true: computed from what was counted, never assumed."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.contract import Json
from gateway.demo.look import Look
from gateway.events.build import to_ns
from gateway.outbox import tally
from gateway.outbox.database import FILE_NAME


def stored(state_dir: Path) -> dict[str, int]:
    """Events that were committed, by destination: the outbox's own tally. Read when the gateway has stopped."""
    connection = sqlite3.connect(f"file:{state_dir / FILE_NAME}?mode=ro", uri=True)
    try:
        return {destination: counts["stored"] for destination, counts in tally.backlog(connection).items()}
    finally:
        connection.close()


def quantile(values: Sequence[float], q: float) -> float | None:
    """The smallest value that at least `q` of all do not exceed; None without values.

    >>> quantile([3.0, 1.0, 2.0], 0.5), quantile([3.0, 1.0, 2.0], 0.99), quantile([], 0.5)
    (2.0, 3.0, None)
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else None


def summary(look: Look, committed: Mapping[str, int], inbox: Mapping[str, Json], streamed: int, bytes_in: int) -> dict[str, Json]:
    """One run in numbers.

    readings   values taken from the machines; waveforms are counted apart, one per block of 12,000 samples
    bytes_in   what the machines' servers sent to the gateway and the kernel saw acknowledged
    events     committed for the CRM; `streamed`: in the NATS stream, of those committed for it
    lost       committed, but not with the receiver in the end (CRM and NATS), and whatever else the gateway took and dropped
    dropped    all the gateway counts as dropped, by reason
    doubled    counted twice by the inbox, see `Cases.doubled`; and more with a receiver than was committed for it
    p50_ms     from the time of the sample that decided to the case's arrival in the inbox, over the `timed` cases: those raised
               while the uplink was up
    """
    for_crm, for_plant = committed.get("crm", 0), committed.get("plant", 0)
    dropped = {key: count for key, count in look.status["counters"].items() if "_dropped" in key}
    latencies = inbox["latencies_ms"]
    missing = max(0, for_crm - inbox["events"]) + max(0, for_plant - streamed)
    return {
        "readings": look.counter("readings"),
        "waveforms": look.counter("waveforms"),
        "records": look.counter("records"),
        "bytes_in": bytes_in,
        "findings": look.counter("findings"),
        "incidents": len(look.incidents),
        "events": for_crm,
        "streamed": streamed,
        "cases": inbox["cases"],
        "lost": missing + sum(dropped.values()),
        "dropped": dropped,
        "doubled": inbox["doubled"] + max(0, inbox["events"] - for_crm) + max(0, streamed - for_plant),
        "repeats": inbox["repeats"],
        "timed": len(latencies),
        "p50_ms": _rounded(quantile(latencies, 0.50)),
        "p99_ms": _rounded(quantile(latencies, 0.99)),
    }


def failures(figures: Mapping[str, Json], cases: Sequence[Mapping[str, Json]], cut: tuple[float, float]) -> list[str]:
    """Which expectations of the story did not come true; empty when all did. `cut`: from and to, seconds since 1970."""
    found = []
    bearing = [case for case in cases if case["machine"] == "pump-3" and case["spectrum"]]
    if not all(case["pictured"] for case in bearing):
        found.append("the bearing's case should have a picture of its evidence")
    if not all("drive_end" in case["title"] for case in bearing):
        found.append("the bearing's case should be at the drive end")
    oil = [case for case in cases if case["machine"] == "press-07" and case["condition"] == "oil_temperature_high"]
    if len(bearing) != 1:
        found.append(f"the bearing fault should make one case with a spectrum in it, not {len(bearing)}")
    if len(oil) != 1:
        found.append(f"the oil should make one case, not {len(oil)}")
    if not all(cut[0] < to_ns(case["opened"]) / 1e9 < cut[1] for case in oil):
        found.append("the oil's case should have been opened while the uplink was cut")
    found += [f"the case {case['title']!r} is still open" for case in cases if case["state"] != "closed"]
    for name in ("readings", "waveforms", "records", "bytes_in", "timed"):
        if not figures[name]:
            found.append(f"{name} should not be 0")
    found += [f"{name} should be 0, not {figures[name]}" for name in ("lost", "doubled") if figures[name]]
    return found


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
