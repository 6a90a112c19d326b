"""What the page and the metrics see of a running gateway: the web's `View`."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from gateway import __version__
from gateway.contract import BAD, Json, Severity, reason
from gateway.engine.watch import Watch
from gateway.incidents import Incident
from gateway.operators import told
from gateway.outbox import incidents as stored
from gateway.outbox import labels, retention, shadow, tally
from gateway.telemetry.counts import Figure

if TYPE_CHECKING:
    from gateway.app import App
    from gateway.telemetry.metrics import Metrics

_MOST_POINTS = 600
_CACHE_SECONDS = 1.0
_PATIENCE_SECONDS = 2.0
"""With a disk that hangs; less than the page has with us."""
_REFUSES = (sqlite3.OperationalError, TimeoutError)
_HUNG_SECONDS = 10.0
_PRECISION_NS, _WEEK_NS = 90 * 86_400_000_000_000, 7 * 86_400_000_000_000
_MOST_WITHHELD = 100
_T = TypeVar("_T")


class Overview:
    """Read-only; what lies in the database is asked for at most once a second."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._metrics: Metrics | None = None
        self._started = app.clock.monotonic()
        self._database: dict[str, Any] = {"backlog": {}, "bytes": 0, "allowed": 0, "oldest": None, "precision": {}, "shadow": {}}
        self._asked = -1e9
        self._rate = (time.monotonic(), 0, 0.0)

    async def status(self) -> Json:
        await self._ask()
        app, settings = self._app, self._app.settings
        now_ns, uptime = app.clock.now_ns(), app.clock.monotonic() - self._started
        backlog, oldest = self._database["backlog"], self._database["oldest"]
        return {
            "gateway": {
                "name": settings.site.gateway,
                "site": settings.site.site,
                "enterprise": settings.site.enterprise,
                "version": __version__,
                "started": now_ns / 1e9 - uptime,
                "uptime_seconds": uptime,
                "now": now_ns / 1e9,
            },
            "sources": [self._source(name) for name in app.edges.sources],
            "destinations": [self._destination(name, backlog.get(name, {})) for name in app.edges.senders],
            "outbox": {
                "events": sum(counts["ready"] for counts in backlog.values()),
                "bytes": self._database["bytes"],
                "max_bytes": app.outbox.max_bytes,
                "holds_hours": app.outbox.holding.hours(self._database["allowed"] - self._database["bytes"]),
                "orphaned": {name: c["ready"] for name, c in backlog.items() if c["ready"] and name not in app.edges.senders},
                "oldest_seconds": None if oldest is None else (now_ns - oldest) / 1e9,
            },
            "pipeline": {
                "queue": sum(inbox.readings for inbox in app.pipeline.inboxes.values()),
                "readings_per_second": self._readings_per_second(),
                "last_progress_seconds": app.clock.monotonic() - app.pipeline.last_progress,
            },
            "storage": app.storage.as_json(app.acceptance.waiting),
            "analysis": list(app.lanes.standing()),
            "clock": {} if app.time is None else app.time.told(),
            "incidents": told.alarms(app.incidents, now_ns),
            "watches": [self._watch(watch) for watch in app.pipeline.line.watches],
            "shelves": [told.shelf(shelf) for shelf in app.desk.shelving.shelves],
            "withheld": [_brief(incident) | {"why": why} for incident, why in app.incidents.waiting[:_MOST_WITHHELD]],
            "security": app.front.security(),
            "counters": app.counts.as_dict(),
        }

    async def watch(self, name: str) -> Json | None:
        watch = next((each for each in self._app.pipeline.line.watches if each.name == name), None)
        if watch is None:
            return None
        await self._ask()
        would_be: list[Any] = []
        with suppress(*_REFUSES):
            would_be = await self._look(lambda connection: shadow.recent(connection, name, _MOST_WITHHELD))
        return self._watch(watch) | told.details(self._app.desk.progress.of(name), would_be)

    def machines(self) -> Json:
        app = self._app
        links = {link.name: link.state for link in app.status.links.values() if link.kind == "source"}
        by_machine: dict[str, list[Json]] = {}
        limits = self._limits()
        for source in app.settings.sources:
            by_machine[source.machine] = [self._tag(tag.index) | {"limits": limits.get(tag.path, [])} for tag in source.tags]
        return [
            {"name": m.name, "path": m.path, "asset": m.asset, "state": links.get(m.name, "down"), "tags": by_machine.get(m.name, [])}
            for m in app.settings.machines.values()
        ]

    def history(self, machine: str, since_ns: int) -> Json | None:
        if machine not in self._app.settings.machines:
            return None
        points = self._app.pipeline.line.history.points(machine, since_ns)
        tags = {name: {"t": t[-_MOST_POINTS:] / 1e9, "v": v[-_MOST_POINTS:]} for name, (t, v) in points.items()}
        return {"machine": machine, "tags": tags}

    def spectra(self) -> Json:
        found: dict[str, Json] = {}
        for watch in self._app.pipeline.line.watches:
            latest = getattr(watch.detector, "latest", None)
            if latest is not None:
                found |= latest()
        return found

    async def incidents(self, limit: int) -> Json:
        try:
            rows = await self._look(lambda connection: stored.recent(connection, limit))
        except _REFUSES:  # what is open is in memory, too
            return [_brief(incident) for incident in self._app.incidents.open[:limit]]
        return [_brief(Incident.load(row)) for row in rows]

    async def incident(self, incident_id: str) -> Json | None:
        incident = await self._one(incident_id)
        if incident is None:
            return None
        machine = self._app.settings.machines.get(incident.machine)
        return _brief(incident) | {
            "detector": incident.detector,
            "asset": machine.asset if machine else "",
            "explanation": incident.explanation,
            "evidence": incident.evidence,
        }

    async def _one(self, incident_id: str) -> Incident | None:
        try:
            row = await self._look(lambda connection: stored.one(connection, incident_id))
        except _REFUSES:
            return next((incident for incident in self._app.incidents.open if incident.id == incident_id), None)
        return None if row is None else Incident.load(row.body)

    async def metrics(self) -> bytes:
        await self._ask()
        if self._metrics is None:
            # Three megabytes that only a gateway with a scraper has to carry.
            from gateway.telemetry.metrics import Metrics

            self._metrics = Metrics(self._app.counts, self._app.status, self._figures)
        return self._metrics.render()

    def healthy(self) -> tuple[bool, dict[str, Json]]:
        """The line moves. Links that are down are the plant's affair, and a disk that refuses is mended by no restart: told, no more."""
        silent, refused = self._app.clock.monotonic() - self._app.pipeline.last_progress, self._app.outbox.refused
        return silent < _HUNG_SECONDS, {"pipeline_last_progress_seconds": round(silent, 1), "outbox": refused or "writes"}

    async def _ask(self) -> None:
        now = time.monotonic()
        if now - self._asked < _CACHE_SECONDS:
            return
        self._asked, app = now, self._app
        # A disk that refuses is told elsewhere, and one that hangs holds up nobody; the figures of before are better than none.
        with suppress(*_REFUSES):
            self._database = await self._look(
                lambda connection: {
                    "backlog": tally.backlog(connection),
                    "bytes": retention.used_bytes(connection),
                    "allowed": retention.allowed_bytes(connection, app.outbox.caps),
                    "oldest": tally.oldest_recorded_ns(connection),
                    "shadow": shadow.counts(connection, app.clock.now_ns() - _WEEK_NS),
                    "precision": labels.precision(connection, app.clock.now_ns() - _PRECISION_NS),
                }
            )

    async def _look(self, operation: Callable[[sqlite3.Connection], _T]) -> _T:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await self._app.outbox.look(operation)

    def _source(self, name: str) -> Json:
        source, _, link, inbox = self._app.edges.sources[name]
        quality = self._app.pipeline.line.table.last_quality[[tag.index for tag in source.tags]] if source.tags else np.zeros(0)
        return {
            "name": name,
            "kind": source.plugin.name,
            "state": link.state,
            "since": link.since_ns / 1e9,
            "why": link.why,
            "isolated": source.isolated is not None,
            "stopped": self._app.counts.total("source_processes_ended", source=name),
            "tags": len(source.tags),
            "readings": inbox.received,
            "bad": int((quality >= BAD).sum()),
            "skew_seconds": self._app.devices.skew_seconds(name),
        }

    def _destination(self, name: str, counts: dict[str, int]) -> Json:
        destination, _, link, sender = self._app.edges.senders[name]
        return {
            "name": name,
            "kind": destination.plugin.name,
            "state": link.state,
            "since": link.since_ns / 1e9,
            "why": link.why or sender.throttle.why or sender.throttle.machines,
            "breaker": sender.breaker.state.replace("-", "_"),
            "backlog": counts.get("ready", 0),
            "delivered": counts.get("delivered", 0),
            "parked": counts.get("parked", 0),
            "expired": counts.get("expired", 0),
            "lost": sum(counts.get(what, 0) for what in tally.LOST),
        }

    def _watch(self, watch: Watch) -> dict[str, Json]:
        app, last_week = self._app, self._database["shadow"].get(watch.name, 0)
        return told.watch(watch, app.desk.progress.of(watch.name), app.pipeline.shadow, last_week, app.clock.now_ns())

    def _tag(self, index: int) -> Json:
        pipeline = self._app.pipeline
        table, tag = pipeline.line.table, pipeline.line.settings.tags[index]
        value, t_ns, quality = float(table.last_value[index]), int(table.last_t_ns[index]), int(table.last_quality[index])
        block = pipeline.latest_waveform.get(index)
        if block is not None:
            value, t_ns, quality = float(np.sqrt(np.mean(np.square(block.samples, dtype=np.float64)))), block.t_ns, block.quality
        seen = t_ns > 0
        return {
            "name": tag.name,
            "unit": tag.options.unit,
            "kind": tag.options.kind,
            "value": value if seen else None,
            "quality": reason(quality) if seen else "good",
            "t_ns": t_ns,
            "age_seconds": (self._app.clock.now_ns() - t_ns) / 1e9 if seen else None,
        }

    def _limits(self) -> dict[str, list[Json]]:
        """What detectors with fixed limits say of them, by ``machine/tag``."""
        found: dict[str, list[Json]] = {}
        for watch in self._app.pipeline.line.watches:
            limits = getattr(watch.detector, "limits", None)
            for path, levels in (limits() if limits is not None else {}).items():
                found.setdefault(path, []).extend(levels)
        return found

    def _readings_per_second(self) -> float:
        then, before, rate = self._rate
        now, total = time.monotonic(), self._app.counts.total("readings")
        if now - then >= _CACHE_SECONDS:
            rate = (total - before) / (now - then)
            self._rate = (now, total, rate)
        return round(rate, 1)

    def _figures(self) -> Iterator[Figure]:
        app = self._app
        yield Figure("incidents_open", "incidents open now", len(app.incidents.open))
        yield Figure("pipeline_queue", "readings waiting", sum(inbox.readings for inbox in app.pipeline.inboxes.values()))
        yield Figure("pipeline_idle_seconds", "since the last flush", app.clock.monotonic() - app.pipeline.last_progress)
        yield Figure("outbox_commits", "commits since the start", app.outbox.commits, kind="counter")
        yield Figure("outbox_bytes", "bytes in use", self._database["bytes"])
        yield Figure("outbox_allowed_bytes", "bytes it may use now", self._database["allowed"])
        for slow in app.lanes.standing():
            labels = (("watch", str(slow["watch"])),)
            yield Figure("analysis_behind", "items a slow detector is behind", slow["behind"], labels)
            yield Figure("analysis_seconds", "computing time of a slow detector", slow["computed_seconds"], labels, "counter")
            yield Figure("analysis_skipped", "rows over a slow detector's budget", slow["rows_skipped"], labels, "counter")
        for name in app.edges.sources:
            if (skew := app.devices.skew_seconds(name)) is not None:
                yield Figure("source_clock_skew_seconds", "the device's clock against the gateway's", skew, (("source", name),))
        for name, (_, _, _, sender) in app.edges.senders.items():
            yield Figure("breaker_open", "1 = only probes are sent", int(sender.breaker.state != "closed"), (("destination", name),))
            yield Figure("budget_used_up", "1 = only critical events are sent", int(bool(sender.throttle.why)), (("destination", name),))
        yield from app.storage.figures()
        if app.time is not None:
            yield from app.time.figures()
        yield from told.figures(app.incidents, app.desk, app.pipeline.line.watches)
        for watch, votes in self._database["precision"].items():
            if votes.precision is not None:
                yield Figure("detector_precision", "real faults among what was judged, 90 days", votes.precision, (("watch", watch),))
        for destination, counts in self._database["backlog"].items():
            for what, count in counts.items():
                kind: Literal["gauge", "counter"] = "counter" if what in tally.TALLIED else "gauge"
                yield Figure(f"outbox_{what}", "events by destination", count, (("destination", destination),), kind)


def _brief(incident: Incident) -> dict[str, Json]:
    return {
        "id": incident.id,
        "machine": incident.machine,
        "condition": incident.condition,
        "title": incident.title,
        "severity": Severity(incident.severity).name.lower(),
        "state": incident.state,
        "since": incident.since_ns / 1e9,
        "raised": incident.raised_ns / 1e9 if incident.raised_ns else None,
        "cleared": incident.cleared_ns / 1e9 if incident.cleared_ns else None,
        "updates": max(0, incident.caused - 1 - (incident.state == "closed")),
        "events": incident.caused,
    }
