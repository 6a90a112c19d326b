"""Rows that are posted and files that are dropped, each row a business message: until what they caused is on disk."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Iterator

import aiohttp

from benchmarks.gateway import Gateway
from benchmarks.result import Result, Target
from benchmarks.servers import scratch
from gateway.testkit.servers.nats import NatsServer

SENDERS, ROWS, SECONDS = 4, 500, 8.0
EVENT_EVERY = 100
LOADS = (
    ("NDJSON", SENDERS, ROWS, EVENT_EVERY),
    ("CSV", SENDERS, ROWS, EVENT_EVERY),
    ("one row a post", 24, 1, EVENT_EVERY),  # the gateway takes 32 connections of one address
    ("NDJSON, each row an event", SENDERS, ROWS, 1),
)
FILES, FILE_ROWS = 10, 10_000
TOKEN = "let-me-in"


def config(source: str, hub: str) -> str:
    return (
        f"machines:\n  mes:\n    source: {{{source}, time: at}}\n"
        f"    records: {{step: {{match: {{type: step}}}}, note: {{match: {{type: note}}}}}}\n"
        'watch:\n  - order: {on: mes/step, late_after: 2h, final: ["9"]}\n'
        f'deliver:\n  hub: {{nats: "{hub}", stream: EVENTS, create_stream: true}}\n'
    )


def ndjson(first: int, rows: int, event_every: int) -> bytes:
    return "\n".join(
        json.dumps({"type": kind(n, event_every), "order": f"A{n // 10}", "step": str(n % 10), "at": at(n)})
        for n in range(first, first + rows)
    ).encode()


def csv(first: int, rows: int, event_every: int) -> bytes:
    lines = (f"{kind(n, event_every)};A{n // 10};{n % 10};{at(n)}\n" for n in range(first, first + rows))
    return ("type;order;step;at\n" + "".join(lines)).encode()


def kind(number: int, event_every: int) -> str:
    """Notes cause nothing, steps an event each."""
    return "note" if number % event_every else "step"


def at(number: int) -> int:
    """Milliseconds; no two rows of a run are the same event."""
    return 1_790_000_000_000 + number


class Poster:
    """Posts bodies over some connections for a while, each as soon as the one before it is answered."""

    def __init__(self, url: str, senders: int, rows: int, event_every: int) -> None:
        self._url, self._senders, self._rows, self._event_every = url, senders, rows, event_every
        self.taken, self._first = 0, 0

    async def run(self, name: str, seconds: float) -> float:
        """Seconds until the last answer."""
        started = time.perf_counter()
        connector = aiohttp.TCPConnector(limit=self._senders)
        async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as tasks:
            for _ in range(self._senders):
                tasks.create_task(self._post(session, name, started + seconds))
        return time.perf_counter() - started

    async def _post(self, session: aiohttp.ClientSession, name: str, until: float) -> None:
        make, content = (csv, "text/csv") if name == "CSV" else (ndjson, "application/x-ndjson")
        while time.perf_counter() < until:
            first, self._first = self._first, self._first + self._rows
            headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": content, "Idempotency-Key": f"{name}-{first}"}
            async with session.post(self._url, data=make(first, self._rows, self._event_every), headers=headers) as reply:
                if reply.status != 202:
                    raise SystemExit(f"{reply.status}: {await reply.text()}")
            self.taken += self._rows


async def posts(hub: str) -> dict[str, dict[str, float]]:
    gateway = Gateway(config("http: ingest, token: {secret: mes}", hub))
    secret = gateway.folder / "secrets" / "mes"
    secret.parent.mkdir()
    secret.write_text(TOKEN)
    secret.chmod(0o600)
    found = {}
    async with gateway:
        for name, senders, rows, event_every in LOADS:
            poster = Poster(f"{gateway.url}/ingest/mes", senders, rows, event_every)
            before = await gateway.sample()
            seconds = await poster.run(name, SECONDS)
            seen = await gateway.sample() - before
            found[name] = figures(poster.taken, seconds, seen.cpu, seen.counters.get("records", 0))
    return found


async def files(hub: str) -> dict[str, float]:
    """From the moment the files lie there until they lie in ``done``."""
    folder = scratch("drop")
    async with Gateway(config(f'files: "{folder}", settle: 0s, poll_seconds: 0.05', hub)) as gateway:
        before, started = await gateway.sample(), time.perf_counter()
        for number, text in enumerate(drops()):
            part = folder / f".{number}.part"
            part.write_bytes(text)
            part.rename(folder / f"{number:02d}.csv")
        while len(done := list((folder / "done").glob("*.csv"))) < FILES and time.perf_counter() - started < 120:
            await asyncio.sleep(0.05)
        seconds = time.perf_counter() - started
        seen = await gateway.sample() - before
    shutil.rmtree(folder)
    return figures(len(done) * FILE_ROWS, seconds, seen.cpu, seen.counters.get("records", 0))


def drops() -> Iterator[bytes]:
    return (csv(number * FILE_ROWS, FILE_ROWS, EVENT_EVERY) for number in range(FILES))


def figures(taken: int, seconds: float, cpu: float, records: float) -> dict[str, float]:
    return {"per_second": round(taken / seconds), "cpu_ms_per_1000": round(cpu / max(taken, 1) * 1e6, 1), "lost": max(0, taken - records)}


async def run() -> list[Result]:
    async with NatsServer() as hub:
        found = await posts(hub.url)
    async with NatsServer() as hub:
        found["files"] = await files(hub.url)
    return [
        Result(
            "Rows of an MES, one in a hundred an event: posted and dropped as files, answered or moved after their commit",
            (
                Target("NDJSON", found["NDJSON"]["per_second"], ">=", 5_000, "rows/s"),
                Target("CSV", found["CSV"]["per_second"], ">=", 5_000, "rows/s"),
                Target("files", found["files"]["per_second"], ">=", 5_000, "rows/s"),
                Target("lost", sum(each["lost"] for each in found.values()), "<=", 0),
            ),
            dict(found),
        )
    ]
