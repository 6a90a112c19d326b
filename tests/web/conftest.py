"""A view made of plain values, and a server that shows it."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy as np
import pytest

from gateway.accounts.passwords import hashed
from gateway.accounts.roles import Role
from gateway.accounts.store import Token, User, Watched, changing, digest_of
from gateway.telemetry.counts import Counts
from gateway.testkit.clock import FakeClock
from gateway.web import PageServer
from gateway.web.access import Access
from gateway.web.hands import Changes, Unwanted
from gateway.web.login import Login
from gateway.web.server import Entrance
from gateway.web.sessions import Limits, Sessions

HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
SECONDS = 1_000_000_000


def tag(name: str, value: float | None, unit: str = "", **more: Any) -> dict[str, Any]:
    age = None if value is None else 0.4
    common = {"kind": "gauge", "quality": "good", "t_ns": time.time_ns(), "age_seconds": age}
    return {"name": name, "unit": unit, "value": value, **common, **more}


def bearing_spectrum() -> dict[str, Any]:
    hz = np.arange(0, 1000, 1.25)
    amplitudes = 0.01 + 0.004 * np.sin(hz * 1.7) ** 2
    lines = [
        {"name": "shaft", "hz": 29.95},
        {"name": "BPFO", "hz": 107.4},
        {"name": "2×BPFO", "hz": 214.8},
        {"name": "3×BPFO", "hz": 322.2},
    ]
    lines += [{"name": "BPFI", "hz": 162.2}, {"name": "FTF", "hz": 11.9}, {"name": "BSF", "hz": 70.6}]
    for line, height in zip(lines[1:4], (0.21, 0.12, 0.06), strict=True):
        amplitudes += height * np.exp(-(((hz - float(line["hz"])) / 1.5) ** 2))
    return {"hz_step": 1.25, "amplitudes": amplitudes, "unit": "g", "lines": lines}


SHELF = {"id": 3, "machine": "press-*", "condition": "oil_*", "critical": False, "by": "Eva", "why": "<i>pump</i> is replaced"}


@dataclass
class FakeView:
    """What a gateway with a press, a pump and one open incident would answer; tests change the fields."""

    broken: bool = False
    empty: bool = False
    healthy_now: bool = True
    disk: str = "storing"
    security: dict[str, Any] = field(default_factory=lambda: {"audit": "sound", "listens": "127.0.0.1", "wanted": "127.0.0.1"})
    orphaned: dict[str, int] = field(default_factory=dict)
    title: str = f"Outer race of pump-3 {HOSTILE}"
    started: float = field(default_factory=time.time)
    asked: list[tuple[str, int]] = field(default_factory=list)

    def status(self) -> Any:
        if self.broken:
            raise RuntimeError("the store is gone")
        now = time.time()
        gateway: dict[str, Any] = {"name": "dresden-press-01", "site": "dresden", "enterprise": "acme", "version": "1.0.0"}
        gateway["started"] = self.started + now % 1e-4  # computed at each question, as the gateway's
        link = {"since": self.started, "why": ""}
        names = [] if self.empty else [("press-07", "modbus", "up", ""), ("pump-3", "mqtt", "down", "connection refused")]
        return {
            "gateway": gateway | {"uptime_seconds": now - self.started, "now": now},
            "sources": [{"name": n, "kind": k, "state": s, **link, "why": w, "tags": 4, "readings": 100, "bad": 1} for n, k, s, w in names],
            "destinations": []
            if self.empty
            else [
                {"name": "crm", "kind": "https", "state": "up", **link, "breaker": "closed", "backlog": 0, "delivered": 1204, "parked": 0},
                {"name": "plant", "kind": "nats", "state": "down", **link, "why": "timed out after 10 s", "breaker": "open"}
                | {"backlog": 12, "delivered": 88, "parked": 1, "lost": 2},
            ],
            "outbox": {
                "events": 0 if self.empty else 12,
                "bytes": 18_000,
                "max_bytes": 512 << 20,
                "oldest_seconds": 41.2,
                "orphaned": self.orphaned,
            },
            "storage": {"state": self.disk, "why": "disk I/O error", "remedy": "replace the disk"}
            | {"wear": {"disk_bytes_per_day": 31e6, "gateway_bytes_per_day": 12e6, "lasts_years": 9.4}},
            "pipeline": {"queue": 0, "readings_per_second": 812.4, "last_progress_seconds": 0.1},
            "incidents": {"open": 0 if self.empty else 1},
            "watches": [] if self.empty else self._watches(),
            "shelves": [] if self.empty else [SHELF | {"since": now, "until": now + 8 * 3600}],
            "withheld": [] if self.empty else [{"machine": "press-07", "condition": "oil_pressure_low", "why": "shelved"}],
            "security": self.security,
            "counters": {"readings_dropped{reason=queue_full}": 3},
        }

    def _watches(self) -> Any:
        learning = {"share": 0.425, "still": 3, "of": 12, "alarms_last_week": 0}
        quiet: dict[str, Any] = {"shadow": None, "blackout": [], "learning": None}
        return [
            quiet | {"name": "limit-1", "detector": "limit"},
            quiet | {"name": "oil", "detector": "anomaly", "learning": learning},
            quiet | {"name": HOSTILE, "detector": "river", "shadow": {"last_week": 4, "active": 1}, "blackout": ["pump-3"]},
        ]

    def watch(self, name: str) -> Any:
        found = next((each for each in self._watches() if each["name"] == name), None)
        tag = {"machine": "press-07", "tag": "oil_temperature", "state": "", "share": 0.425, "alarms": 0}
        return found and found | {"tags": [tag], "would_be": []}

    def machines(self) -> Any:
        if self.empty:
            return []
        limits = [{"name": "high", "value": 70.0}, {"name": "high_high", "value": 85.0}]
        press = [
            tag("oil_temperature", np.float64(71.25), "degC", limits=limits),
            tag("oil_pressure", math.nan, "bar", quality="stuck", age_seconds=73.0),
            tag("running", 1.0, kind="state"),
            tag("strokes", 1_204_311, kind="counter", quality="gateway_time"),
        ]
        pump = [tag("speed", 1797.0, "rpm", age_seconds=131.0), tag("vibration_x", 0.412, "g", kind="waveform"), tag(HOSTILE, None)]
        return [
            {"name": "press-07", "path": "press-shop/line-2/cell-1", "asset": "02i5e000000PRESS07", "state": "up", "tags": press},
            {"name": "pump-3", "path": "utilities/cooling", "asset": "02i5e0000000PUMP3", "state": "down", "tags": pump},
        ]

    def history(self, machine: str, since_ns: int) -> Any:
        self.asked.append((machine, since_ns))
        if machine not in {"press-07", "pump-3"}:
            return None
        now = time.time() - (131 if machine == "pump-3" else 0)
        t = np.arange(math.floor(now) - 299, math.floor(now) + 1).astype(float)
        t = t[t > since_ns / SECONDS]
        if machine == "pump-3":
            return {"machine": machine, "tags": {"speed": {"t": t, "v": 1797 + 2 * np.sin(t / 9)}}}
        pressure = np.where((t % 300 > 200) & (t % 300 < 230), math.nan, 182 + np.sin(t / 7))
        tags = {
            "oil_temperature": 66 + 5 * np.sin(t / 60),
            "oil_pressure": pressure,
            "running": (t % 60 > 8) * 1.0,
            "strokes": 1_204_000 + t % 1e4 // 5,
        }
        return {"machine": machine, "tags": {name: {"t": t, "v": v} for name, v in tags.items()}}

    def spectra(self) -> Any:
        if self.empty:
            return {}
        velocity = {"hz_step": 2.0, "amplitudes": np.abs(np.sin(np.arange(400) / 20)), "unit": "mm/s"}
        block = time.time_ns() // (5 * SECONDS) * (5 * SECONDS)
        return {"pump-3/vibration_x": {"t_ns": block, "envelope_spectrum": bearing_spectrum(), "velocity_spectrum": velocity}}

    async def incidents(self, limit: int) -> Any:
        if self.empty:
            return []
        hour_ago = self.started - 3600
        first = {"id": "inc-aaaaaaaaaaaaaaaa", "machine": "pump-3", "condition": "bearing_outer_race", "title": self.title}
        first |= {"severity": "error", "state": "open", "since": self.started - 95, "raised": self.started - 65, "cleared": None}
        second = {
            "id": "inc-bbbbbbbbbbbbbbbb",
            "machine": "press-07",
            "condition": "oil_temperature_high",
            "title": "Oil temperature above 70 °C",
        }
        second |= {"severity": "warning", "state": "closed", "since": hour_ago, "raised": hour_ago + 30, "cleared": hour_ago + 760}
        return [second | {"updates": 0, "events": 2}, first | {"updates": 2, "events": 3}][:limit]

    async def incident(self, incident_id: str) -> Any:
        found = next((each for each in await self.incidents(100) if each["id"] == incident_id), None)
        if found is None:
            return None
        t = np.arange(0, 90, 0.5)
        readings = {"from_ns": int(found["since"] * SECONDS) - 30 * SECONDS, "tags": {HOSTILE: {"t": t, "v": 20 + np.exp(t / 40)}}}
        explanation = {
            "fault": "outer race",
            "rms": 0.4121,
            "iso": {"zone": "C", "velocity_mm_s": 4.61},
            "lines": [{"name": "BPFO", "hz": 107.4, "order": 3.585}, {"name": "2xBPFO", "hz": 214.8}],
        }
        evidence = {
            "envelope_spectrum": bearing_spectrum(),
            "waveform": {"t_ns": 0, "step_seconds": 1 / 12_000, "values": [0.1 * math.sin(i / 9) for i in range(800)], "unit": "g"},
            "velocity_trend": {"from_ns": 0, "t": [0.0, 86_400.0], "v": [1.0, 2.0], "unit": "mm/s rms", "limits": [1.4, 2.8, 4.5]},
            "readings": readings,
        }
        return found | {"detector": "vibration-1", "asset": "02i5e0000000PUMP3", "explanation": explanation, "evidence": evidence}

    def metrics(self) -> bytes:
        return b"# TYPE lineside_up gauge\nlineside_up 1\n"

    def healthy(self) -> tuple[bool, dict[str, Any]]:
        return self.healthy_now, {"pipeline": "moving" if self.healthy_now else "no progress for 31 s"}


@pytest.fixture
def view() -> FakeView:
    return FakeView()


@pytest.fixture
async def page(view: FakeView) -> AsyncIterator[str]:
    """Address of a running server."""
    server = PageServer(view, "127.0.0.1", 0)
    port = await server.start()
    yield f"http://127.0.0.1:{port}"
    await server.stop()


@pytest.fixture
async def client(page: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(base_url=page) as session:
        yield session


PASSWORD = "correct horse battery"
HASHED = hashed(PASSWORD)


@dataclass
class FakeHands:
    """Remembers what it was asked to do."""

    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def shelve(self, machine: str, condition: str, lasts: str, *, why: str, critical: bool, who: str) -> Any:
        if lasts == "9d":
            raise Unwanted("for: at most 7d")
        self.asked.append(("shelve", f"{machine}/{condition}", lasts, why, critical, who))
        return {"id": 7, "until": 1.0}

    async def unshelve(self, number: int, *, who: str) -> None:
        self.asked.append(("unshelve", number, who))

    async def audit(self, limit: int) -> Any:
        return [{"number": limit}]

    def reload(self, *, who: str) -> None:
        self.asked.append(("reload", who))


class Guarded:
    """A page with a login, on a free port: users named by their roles, each with a token ``token-<role>``."""

    def __init__(self, folder: Path, view: FakeView, thread: ThreadPoolExecutor) -> None:
        self.folder, self.clock, self.hands, self.counts = folder, FakeClock(), FakeHands(), Counts()
        self.notes: list[tuple[str, str, str, str]] = []
        self.accounts = Watched(folder)
        self.sessions = Sessions(Limits(idle=900, idle_viewer=9000, longest=40_000), self.clock.monotonic)
        access = Access(self.accounts, self.sessions, self.clock)
        self.login = Login(access, self.note, self.counts, thread, self.clock.monotonic)
        self.entrance = Entrance(
            access=access, login=self.login, changes=Changes(self.hands, access, self.note, thread), security_txt=b"Contact: x"
        )
        self.view, self.url = view, ""

    def note(self, what: str, *, who: str = "", name: str = "", before: str = "", after: str = "") -> None:
        self.notes.append((what, who, name, after))

    def populate(self) -> None:
        with changing(self.folder) as accounts:
            for role in Role:
                accounts.users[role.word] = User(role=role.word, password=HASHED)
                accounts.tokens[role.word] = Token(role=role.word, digest=digest_of(f"token-{role.word}"))
        self.accounts.look()

    def forget_all(self) -> None:
        with changing(self.folder) as accounts:
            accounts.users.clear()
            accounts.tokens.clear()
        self.accounts.look()

    def change(self, name: str, **fields: Any) -> None:
        with changing(self.folder) as accounts:
            accounts.users[name] = msgspec.structs.replace(accounts.users[name], **fields)
        self.accounts.look()

    def cookie(self, name: str) -> dict[str, str]:
        """Of a session that has just begun."""
        port = self.url.rpartition(":")[2]
        return {f"lineside-{port}": self.sessions.begin(name, self.accounts.accounts.users[name])}


@pytest.fixture
def thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


@pytest.fixture
async def guarded(tmp_path: Path, view: FakeView, thread: ThreadPoolExecutor) -> AsyncIterator[Guarded]:
    made = Guarded(tmp_path, view, thread)
    made.populate()
    server = PageServer(view, "127.0.0.1", 0, None, made.entrance, made.counts)
    made.url = f"http://127.0.0.1:{await server.start()}"
    yield made
    await server.stop()


@pytest.fixture
async def stranger(guarded: Guarded) -> AsyncIterator[aiohttp.ClientSession]:
    """Keeps no cookies."""
    async with aiohttp.ClientSession(base_url=guarded.url, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session
