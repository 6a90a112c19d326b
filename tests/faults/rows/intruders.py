"""Rows of the page: who wants in."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import aiohttp

from rig.daemon import lineside
from rig.mes import TOKEN
from rig.plant import Plant
from rig.run import Run
from rig.table import row
from rows.page import raw

PASSWORD, WRONG = "a-long-canary-for-anna-42", "something-else-entirely-7"
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
    headers = {"Authorization": f"Bearer {TOKEN}"}
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
        answered += [await page.login("anna", WRONG) for _ in range(40)]
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
