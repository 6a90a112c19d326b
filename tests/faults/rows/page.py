"""Rows of the page: who crowds it, and who wants in."""

from __future__ import annotations

import asyncio
import json
import os
import time
from contextlib import suppress
from typing import Any

import aiohttp

from rig.daemon import lineside
from rig.plant import Plant
from rig.probe import Probe, high
from rig.run import Run, until
from rig.table import row

CONNECTIONS = 1000
PASSWORD, WRONG = "a-long-canary-for-anna-42", "something-else-entirely-7"


class Crowd:
    """Connections to the page that are not let go. `alive`: how many the daemon has not closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []
        self._readers: list[asyncio.StreamReader] = []

    async def come(self, count: int, said: bytes = b"") -> None:
        for _ in range(count):
            try:
                reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self._port), 5)
            except (OSError, TimeoutError):
                continue
            self._readers.append(reader)
            self._writers.append(writer)
            with suppress(OSError):
                writer.write(said)

    async def dribble(self, seconds: float, piece: bytes) -> None:
        """A piece of a head to each, once a second."""
        until_then = time.monotonic() + seconds
        while time.monotonic() < until_then:
            for writer in self._writers:
                with suppress(OSError):
                    writer.write(piece)
            await asyncio.sleep(1)

    @property
    def alive(self) -> int:
        return sum(not reader.at_eof() and reader.exception() is None for reader in self._readers)

    def leave(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@row(
    37,
    "1,000 connections, slow heads and huge heads on the page",
    expected="orders as fast as ever (p99 at most 4 times that of before, or 0.5 s); PLC and CRM reconnect within 15 s; memory bounded; lost 0",
)
async def crowded(run: Run) -> None:
    async with Plant(run) as plant:
        plant.daemon.prefix = ["prlimit", "--nofile=1024:1024"]  # what systemd gives to a service that asks for nothing
        await plant.start()
        await plant.arrived(20)
        async with Probe(plant) as probe:
            usual, before = high(await probe.times(150)), plant.daemon.peaks.rss_mb
            crowd = Crowd(plant.daemon.port)
            await crowd.come(CONNECTIONS, b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            dribbling = asyncio.create_task(crowd.dribble(8, b"a"))
            await shouted(run, plant)
            times = await probe.times(300)
            await plant.crm.stop()  # both have to connect anew, and need descriptors for it
            await plant.plc.stop()
            await plant.plc.start()
            await plant.crm.start()
            served = plant.plc.served
            await plant.recovered(15)
            run.check(plant.plc.served > served, "the PLC was not read again")
            await dribbling
            run.note(p99_ms=round(1000 * high(times)), p99_ms_usual=round(1000 * usual), still_open=crowd.alive)
            crowd.leave()
        run.check(high(times) <= max(4 * usual, 0.5), f"p99 of an order {high(times):.2f} s, usually {usual:.2f} s")
        run.check(not probe.undone, f"{probe.undone} orders were not answered 202")
        grown = plant.daemon.peaks.rss_mb - before
        run.check(grown <= 80, f"{grown:.0f} MB more than before")
        await until(lambda: _answers(plant), 15, "the page answering again")
        await plant.settle()


def _answers(plant: Plant) -> bool:
    import urllib.request

    try:
        with urllib.request.urlopen(f"{plant.daemon.url}/healthz", timeout=3) as reply:  # noqa: S310  our own page
            return int(reply.status) == 200
    except OSError:
        return False


async def shouted(run: Run, plant: Plant) -> None:
    """Heads of a megabyte: one line of it, and 20,000 lines; refused, not kept."""
    for head in (b"X-Huge: " + b"a" * 1_000_000, b"\r\n".join(b"X-%d: a" % number for number in range(20_000))):
        said = await raw(plant, b"GET /api/status HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n\r\n")
        status = said[9:12]
        run.check(status in (b"", b"400", b"413", b"431"), f"a huge head was answered {said[:60]!r}")


async def raw(plant: Plant, request: bytes, seconds: float = 5.0) -> bytes:
    """What the page answers to these bytes; empty: it hung up."""
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection("127.0.0.1", plant.daemon.port)
            try:
                writer.write(request)
                with suppress(OSError):
                    await writer.drain()
                return await reader.read(65536)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return b""


@row("37b", "slow heads on the page", expected="a connection whose head does not come is closed within 60 s", ci=False)
async def slow_heads(run: Run) -> None:
    async with Plant(run) as plant:
        await plant.start()
        await plant.arrived(20)
        crowd = Crowd(plant.daemon.port)
        await crowd.come(20, b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        dribbling = asyncio.create_task(crowd.dribble(60, b"a"))
        try:
            took = await until(lambda: not crowd.alive, 60, "20 slow heads closed")
            run.note(closed_after_seconds=round(took, 1))
        except AssertionError as exc:
            run.check(False, str(exc))
        dribbling.cancel()
        crowd.leave()
        await plant.settle()


PATHS = (
    "/static/../../../../../../etc/passwd",
    "/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/static/..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/static//etc/passwd",
    "/static/%2fetc%2fpasswd",
    "/static/....//....//etc/passwd",
    "/static/..\\..\\..\\etc\\passwd",
    "/static/../../config/secrets.py",
    "/api/incidents/..%2f..%2f..%2fetc%2fpasswd",
    "/api/watches/%00",
    "/static/%00/etc/passwd",
    "/ingest/..%2f..%2fetc%2fpasswd",
)
SCRIPT = "<img src=x onerror=alert(1)>"


@row(
    38,
    "page: passwords guessed, forged requests, paths, foreign names, script in names, a session that ended",
    expected="refused, slowed down, audited; lost 0",
    limit=180,
)
async def forced(run: Run) -> None:
    async with Plant(run) as plant:
        await plant.start()
        await plant.arrived(10)
        await paths(run, plant)
        await names(run, plant)
        await script(run, plant)
        await accounts(run, plant)
        await plant.flow(120)  # after a hundred records that can be read, that case is over
        await plant.settle()


async def paths(run: Run, plant: Plant) -> None:
    for path in PATHS:
        said = await raw(plant, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        run.check(b"root:" not in said and b"import" not in said, f"{path} was answered {said[:200]!r}")
        run.check(said[9:10] == b"4" or not said, f"{path} was answered {said[:40]!r}")


async def names(run: Run, plant: Plant) -> None:
    said = await raw(plant, b"GET /api/status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    run.check(said[9:12] == b"421", f"a foreign name in Host was answered {said[:40]!r}")


async def script(run: Run, plant: Plant) -> None:
    """What a sender may put into a name stands in the case that its record is unreadable: as data, never as a page's."""
    headers = {"Authorization": "Bearer let-me-in"}
    async with aiohttp.ClientSession() as http:
        async with http.post(plant.mes.url, json={SCRIPT: SCRIPT}, headers=headers) as reply:
            run.check(reply.status in (202, 400), f"fields named like a script was answered {reply.status}")
        for path in ("/", "/api/status", "/api/incidents", "/api/machines", "/static/app.js", "/nothing-here"):
            async with http.get(plant.daemon.url + path) as reply:
                policy = reply.headers.get("Content-Security-Policy", "")
                body = await reply.text()
                well = "default-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
                run.check(well, f"{path}: Content-Security-Policy {policy!r}")
                run.check(reply.headers.get("X-Content-Type-Options") == "nosniff", f"{path}: no nosniff")
                run.check(not ("text/html" in reply.content_type and SCRIPT in body), f"{path} repeats what a sender said as HTML")


async def accounts(run: Run, plant: Plant) -> None:
    state = ["--state-dir", str(plant.state)]
    code, said = await typed(f"{PASSWORD}\n{PASSWORD}\n", "user", "add", "anna", "--role", "operator", *state)
    if not run.check(code == 0, f"there are no accounts: lineside user add: exit code {code}: {said[-200:]}"):
        return
    await asyncio.sleep(3)  # "a running gateway notices changes within seconds"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        page = _Page(http, plant.daemon.url)
        run.check(await page.get("/api/status") == 401, "the page is shown without a login")
        run.check(await page.login("anna", PASSWORD) == 200, "anna cannot log in")
        run.check(await page.get("/api/status") == 200, "anna cannot read the page")
        forged = await page.post("/api/logout", {"Origin": "http://evil.example"})
        run.check(forged == 403, f"a request forged by a foreign site was answered {forged}")
        run.check(await page.post("/api/reload", {"Origin": plant.daemon.url}) == 403, "an operator may reload")
        stolen = {cookie.key: cookie.value for cookie in http.cookie_jar}
        await page.post("/api/logout", {"Origin": plant.daemon.url})
        run.check(await page.get("/api/status", cookies=stolen) == 401, "a session holds after its logout")
    await guessed(run, plant)
    code, said = await typed("", "audit", "list", "--json", *state)
    run.check("login failed" in said and "anna" in said, f"the audit does not tell of the guesses: {said[-300:]}")
    code, said = await typed("", "audit", "verify", *state)
    run.check(code == 0, f"lineside audit verify: exit code {code}: {said[-200:]}")
    await typed("", "user", "remove", "anna", *state)
    await asyncio.sleep(3)


async def guessed(run: Run, plant: Plant) -> None:
    """Wrong ones as fast as it goes, and then the right one."""
    answered: list[int] = []
    async with aiohttp.ClientSession() as http:
        page = _Page(http, plant.daemon.url)
        for _ in range(40):
            answered.append(await page.login("anna", WRONG))
    tried = answered.count(401)
    run.note(guesses=len(answered), compared=tried)
    run.check(tried <= 10, f"{tried} of 40 guesses in a row were compared")
    run.check(429 in answered, f"nobody is slowed down: {sorted(set(answered))}")


class _Page:
    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http, self._url = http, url

    async def get(self, path: str, **options: Any) -> int:
        async with self._http.get(self._url + path, allow_redirects=False, **options) as reply:
            return reply.status

    async def post(self, path: str, headers: dict[str, str]) -> int:
        async with self._http.post(self._url + path, headers=headers) as reply:
            return reply.status

    async def login(self, user: str, password: str) -> int:
        headers = {"Origin": self._url, "Content-Type": "application/json"}
        body = json.dumps({"user": user, "password": password})
        async with self._http.post(f"{self._url}/api/login", data=body, headers=headers) as reply:
            return reply.status


async def typed(given: str, *words: str) -> tuple[int, str]:
    """`lineside` with something on its standard input."""
    pipe, both = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
    process = await asyncio.create_subprocess_exec(*lineside(), *words, stdin=pipe, stdout=pipe, stderr=both, env=os.environ)
    said, _ = await asyncio.wait_for(process.communicate(given.encode()), 60)
    return process.returncode or 0, said.decode(errors="replace")
