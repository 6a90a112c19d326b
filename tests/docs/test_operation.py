"""docs/operation.md names every metric there is, and none that is not."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from gateway.clock import KeptClock
from gateway.engine.storage import Storage
from gateway.events.build import EventBuilder
from gateway.incidents import Incidents
from gateway.operators.progress import Learnt
from gateway.operators.shelving import Shelving
from gateway.outbox import tally
from gateway.outbox.labels import Votes
from gateway.overview import Overview
from gateway.telemetry.counts import Counts
from gateway.telemetry.metrics import HELP, Metrics
from gateway.telemetry.status import Status
from gateway.testkit.clock import FakeClock
from gateway.timekeeping import Timekeeping

ROOT = Path(__file__).parents[2]
DOCUMENTED = set(re.findall(r"^\| `(lineside_[a-z_]+)", (ROOT / "docs/operation.md").read_text(encoding="utf-8"), re.MULTILINE))


def exported() -> set[str]:
    """Names as Prometheus sees them: all counters that can be counted, all gauges of a gateway with one destination."""
    clock = FakeClock()
    counts, status = Counts(), Status(clock)
    for name in HELP:
        counts.add(name)
    status.add("source", "press-07")
    parts: dict[str, Any] = dict.fromkeys((*tally.TALLIED, *tally.WAITING), 0)
    sender = SimpleNamespace(breaker=SimpleNamespace(state="closed"), throttle=SimpleNamespace(why=""))
    watch = SimpleNamespace(name="oil", left_out=lambda: {"interval": 1})
    outbox: Any = SimpleNamespace(commits=0)
    condition, reserve = SimpleNamespace(state="storing"), SimpleNamespace(held=0)
    disk: Any = SimpleNamespace(condition=condition, unknown=False, reopened=0, reserve=reserve)
    wear: Any = SimpleNamespace(per_day=lambda: {"gateway": 1.0, "disk": 1.0}, lasts_years=lambda: 9.0)
    incidents = Incidents(clock, lambda *_: "", evidence_seconds=0.0)
    app: Any = SimpleNamespace(
        storage=Storage("gw", ROOT, disk, wear, incidents, clock),
        clock=clock,
        counts=counts,
        status=status,
        incidents=incidents,
        pipeline=SimpleNamespace(inboxes={}, last_progress=0.0, line=SimpleNamespace(watches=[watch])),
        desk=SimpleNamespace(shelving=Shelving(clock), progress=SimpleNamespace(of=lambda name: Learnt.of([]))),
        outbox=outbox,
        edges=SimpleNamespace(senders={"crm": (None, None, None, sender)}, sources={"press-07": None}),
        lanes=SimpleNamespace(standing=lambda: [{"watch": "river-1", "behind": 0, "computed_seconds": 0.0, "rows_skipped": 0}]),
        devices=SimpleNamespace(skew_seconds=lambda name: 0.0),
        time=Timekeeping(KeptClock(), outbox, status, EventBuilder("urn:lineside:a:b:c"), Path(), ThreadPoolExecutor(1)),
    )
    overview = Overview(app)
    overview._database = {
        "backlog": {"crm": parts},
        "bytes": 0,
        "allowed": 0,
        "oldest": None,
        "precision": {"limit-1": Votes(true_positive=1)},
    }
    text = Metrics(counts, status, overview._figures).render().decode()
    return set(re.findall(r"^(lineside_[a-z_]+?)(?:\{.*\})? ", text, re.MULTILINE))


def test_every_metric_is_described() -> None:
    assert exported() - DOCUMENTED == set()


def test_nothing_is_described_that_is_not_there() -> None:
    assert DOCUMENTED - exported() == set()


def test_every_counter_in_the_code_has_its_help() -> None:
    counted = set()
    for path in (ROOT / "gateway").rglob("*.py"):
        counted |= set(re.findall(r'counts\.add\(\s*"([a-z_]+)"', path.read_text(encoding="utf-8")))
    assert len(counted) > 10
    assert counted <= set(HELP)
    assert {"readings_dropped", "waveforms_dropped"} <= set(HELP)
