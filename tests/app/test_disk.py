"""The daemon on a disk that fills up, or cannot be written: it says so, goes on without it, and takes up again by itself."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.testkit.disk import NEEDS, SickDisk, can_fail, mounted_memory

MEGABYTE = 1 << 20
FULL_CONFIG = "  buffer: {min_free_megabytes: 0, reserve_megabytes: 2}\n"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of twelve megabytes."""
    with mounted_memory(tmp_path / "small", 12) as there:
        if not there:
            pytest.skip("mounting needs root")
        yield tmp_path / "small"


@pytest.fixture
def sick(tmp_path: Path) -> Iterator[SickDisk]:
    if not can_fail():
        pytest.skip(NEEDS)
    made = SickDisk(tmp_path)
    yield made
    made.close()


class Page:
    """Of a daemon that logs JSON lines."""

    def __init__(self, daemon: Any) -> None:
        self._daemon, self._url = daemon, ""

    async def get(self, path: str) -> tuple[int, str]:
        if not self._url:
            self._url = json.loads(next(line for line in self._daemon.log.read_text().splitlines() if '"message":"page"' in line))["url"]
        async with aiohttp.ClientSession() as session, session.get(self._url.rstrip("/") + path) as answer:
            return answer.status, await answer.text()

    async def storage(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((await self.get("/api/status"))[1])["storage"]
        return found

    async def metric(self, name: str) -> float:
        text = (await self.get("/metrics"))[1]
        return sum(float(value) for value in re.findall(rf"^lineside_{name}(?:{{[^}}]*}})? ([0-9.e+-]+)$", text, re.MULTILINE))


async def until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """`condition` is a coroutine function."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def fill(folder: Path) -> Path:
    """Until nothing more goes."""
    path = folder / "somebody-elses"
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return path


async def test_a_full_disk_is_told_what_must_be_noted_still_is_and_nothing_is_lost(site: Any, daemon: Any, small: Path) -> None:
    site.state = small / "state"
    site.configure(lambda text: text.replace("deliver:\n", "deliver:\n" + FULL_CONFIG))
    site.oil(50)
    await daemon.start()
    await site.until(lambda: daemon.said("ready") == 1, 20)
    page = Page(daemon)
    assert (await page.storage())["reserve_held_bytes"] == 2 * MEGABYTE
    site.oil(80)
    await site.until(lambda: site.told() == ["raised"], 20)

    others = fill(small)
    site.oil(50)
    await site.until(lambda: "cleared" in site.told(), 20)
    high = False

    async def is_full() -> bool:
        nonlocal high
        high = not high
        site.oil(80 if high else 50)
        return bool((await page.storage())["state"] == "full")

    await until(is_full)
    await until(lambda: _told(site, "io.lineside.gateway.raised.v1"))
    storage = await page.storage()
    assert storage["reserve_held_bytes"] == 0
    assert "make room" in storage["remedy"]
    assert daemon.said("outbox cannot write") == 1

    began = sum(kind == "raised" for kind in site.told())
    for _ in range(6):
        for value in (80, 50):
            readings = await page.metric("readings_total")
            site.oil(value)
            await until(lambda: _more(page, "readings_total", readings + 3))  # noqa: B023
    assert (await page.get("/healthz"))[0] == (await page.get("/"))[0] == 200
    assert await page.metric("storing") == 0
    assert (await page.storage())["waiting_in_memory"] > 6
    assert sum(kind == "raised" for kind in site.told()) == began, "what is not on disk is not told"

    others.unlink()
    await until(lambda: _is(page, "storing"))
    await until(lambda: _nothing_waits(page))
    assert (await page.storage())["reserve_held_bytes"] == 2 * MEGABYTE
    built = await page.metric("events_total")
    assert built > 12
    await until(lambda: _more(page, "outbox_stored_total", built - 1))
    daemon.signal(signal.SIGTERM)
    assert await daemon.exit_code() == 0
    assert built == len(set(site.receiver.order)), "each came, and once"
    assert daemon.said("outbox writes again") == 1
    await daemon.start("outbox", "check", "--state-dir", str(site.state))
    assert await daemon.exit_code() == 0, daemon.log.read_text()[-2000:]


async def test_a_disk_that_becomes_read_only_is_told_and_the_line_goes_on_without_it(site: Any, daemon: Any, sick: SickDisk) -> None:
    """ext4 does so when its journal cannot be written. Nothing but a new start helps then, so it must end in good order."""
    site.state = sick.folder / "state"
    site.configure()
    site.oil(50)
    await daemon.start()
    await site.until(lambda: daemon.said("ready") == 1, 20)
    page = Page(daemon)
    site.oil(80)
    await site.until(lambda: site.told() == ["raised"], 20)
    sick.fail()
    sick.give_up()
    site.oil(50)
    await until(lambda: _is(page, "read_only"))
    sick.heal()
    storage = await page.storage()
    assert storage["waiting_in_memory"] > 0
    assert "fsck" in storage["remedy"]
    readings = await page.metric("readings_total")
    await until(lambda: _more(page, "readings_total", readings + 20))
    for path in ("/", "/metrics", "/healthz", "/api/status", "/api/machines", "/api/incidents"):
        assert (await page.get(path))[0] == 200, path
    assert site.told() == ["raised"]
    daemon.signal(signal.SIGTERM)
    assert await asyncio.wait_for(daemon.exit_code(), 10) == 0
    assert "Traceback" not in daemon.log.read_text()

    sick.remount(repair=True)
    await daemon.start()
    await site.until(lambda: site.told()[:2] == ["raised", "cleared"], 30)
    assert len(set(site.receiver.order)) == len(site.receiver.events)


def test_a_start_on_a_disk_that_is_read_only_ends_with_one_line(site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.commands.run.PAUSE_SECONDS", 0)
    with mounted_memory(tmp_path / "ro", 1, "ro") as there:
        if not there:
            pytest.skip("mounting needs root")
        site.state = tmp_path / "ro" / "state"
        site.configure()
        result = CliRunner().invoke(main, ["run", str(site.file)])
    assert result.exit_code == 1, "not 2: systemd shall try again"
    assert result.output.splitlines() == [f"lineside: the state folder {site.state} cannot be used: Read-only file system"]


async def _told(site: Any, type_: str) -> bool:
    return any(event["type"] == type_ for event in site.receiver.events.values())


async def _more(page: Page, name: str, than: float) -> bool:
    return await page.metric(name) > than


async def _is(page: Page, state: str) -> bool:
    return bool((await page.storage())["state"] == state)


async def _nothing_waits(page: Page) -> bool:
    status = json.loads((await page.get("/api/status"))[1])
    return status["storage"]["waiting_in_memory"] == 0 and status["outbox"]["events"] == 0
