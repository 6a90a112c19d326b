"""`lineside run` as systemd sees it: notify, signals, exit codes."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.outbox.database import open_database
from gateway.sdnotify import Notifier


async def test_ready_watchdog_reloading_stopping_and_status(site: Any, systemd: Any, daemon: Any) -> None:
    site.configure(high=90.0)
    site.oil(75.0)
    await daemon.start(NOTIFY_SOCKET=str(site.notify), WATCHDOG_USEC="1500000")
    await site.until(lambda: "READY=1" in systemd.listen(), 20)
    await site.until(lambda: systemd.listen().count("WATCHDOG=1") >= 3)
    await site.until(lambda: "STATUS=1 of 1 sources and 1 of 1 destinations are up" in systemd.listen())
    site.configure(high=70.0)
    daemon.signal(signal.SIGHUP)
    await site.until(lambda: systemd.listen().count("READY=1") == 2)
    assert "RELOADING=1" in systemd.heard
    assert any(line.startswith("MONOTONIC_USEC=") for line in systemd.heard)
    assert heaps_of_threads(daemon.process.pid) == 0
    await site.until(lambda: site.told() == ["raised"])
    daemon.signal(signal.SIGTERM)
    assert await daemon.exit_code() == 0
    assert "STOPPING=1" in systemd.listen()
    order = [line for line in systemd.heard if line in ("READY=1", "RELOADING=1", "STOPPING=1")]
    assert order == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]


async def test_a_line_that_hangs_does_not_feed_the_watchdog(site: Any, systemd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "90000")
    async with site.run() as app:
        await site.until(lambda: systemd.listen().count("WATCHDOG=1") >= 3)
        hung = asyncio.Event()

        async def never() -> None:
            await hung.wait()

        app.pipeline._room = never
        await asyncio.sleep(0.7)
        fed = systemd.listen().count("WATCHDOG=1")
        await asyncio.sleep(1.2)
        assert systemd.listen().count("WATCHDOG=1") == fed
        hung.set()


async def test_a_dead_plc_does_not_starve_the_watchdog(site: Any, systemd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "90000")
    await site.plc.stop()
    async with site.run() as app:
        await site.until(lambda: app.status.links["source", "press-07"].state == "down")
        fed = systemd.listen().count("WATCHDOG=1")
        await site.until(lambda: systemd.listen().count("WATCHDOG=1") > fed + 2)


def test_without_systemd_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    notifier = Notifier()
    notifier.send("READY=1")
    assert notifier.watchdog_seconds is None
    Notifier("/nowhere/at/all").send("READY=1")


async def test_stopping_drains_what_was_found_and_an_interrupt_ends_in_good_order(site: Any, daemon: Any) -> None:
    await site.receiver.stop()
    site.oil(75.0)
    await daemon.start()
    await site.until(lambda: daemon.said("lost") >= 1, 20)
    await site.receiver.start()
    daemon.signal(signal.SIGTERM)
    assert await daemon.exit_code() == 0
    assert daemon.said("stopped") == 1
    again = type(daemon)(site)
    await again.start()
    await site.until(lambda: again.said("ready") == 2 and site.told() == ["raised"], 20)
    again.signal(signal.SIGINT)  # from a keyboard, and in good order too
    assert await again.exit_code() == 0
    assert again.said("stopped") == 2


async def run_here(site: Any) -> Result:
    """`lineside run` that ends before it listens to signals."""
    return await asyncio.to_thread(CliRunner().invoke, main, ["run", str(site.file)])


class TestExitCodes:
    async def test_2_for_a_file_with_errors(self, site: Any) -> None:
        site.configure(lambda text: text.replace("high:", "hihg:"))
        result = await run_here(site)
        assert result.exit_code == 2
        assert "did you mean" in result.output

    async def test_2_for_a_state_folder_that_is_taken(self, site: Any, daemon: Any) -> None:
        async with site.run():
            await daemon.start()
            assert await daemon.exit_code() == 2
        assert daemon.log.read_text() == f"lineside: another gateway runs with the state folder {site.state}\n"

    def test_2_for_an_outbox_of_a_newer_version(self, site: Any) -> None:
        import sqlite3

        site.state.mkdir()
        db = sqlite3.connect(site.state / "outbox.db")
        db.execute("PRAGMA user_version=99")
        db.close()
        result = CliRunner().invoke(main, ["run", str(site.file)])
        assert result.exit_code == 2
        assert "newer lineside" in result.stderr

    async def test_1_for_a_crash_with_a_traceback(self, site: Any, daemon: Any) -> None:
        db, _ = open_database(site.state)
        db.execute("DROP TABLE note")
        db.close()
        await daemon.start()
        assert await daemon.exit_code() == 1
        assert "Traceback" in daemon.log.read_text()

    def test_1_with_one_line_when_the_outbox_cannot_be_opened(self, site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gateway.commands.run.PAUSE_SECONDS", 0)
        site.state.mkdir()
        (site.state / "outbox.db").mkdir()
        result = CliRunner().invoke(main, ["run", str(site.file)])
        assert result.exit_code == 1
        assert "cannot be opened: Is a directory" in result.stderr.splitlines()[-1]


def heaps_of_threads(pid: int) -> int:
    """glibc reserves 64 MB of addresses for each, most of it not accessible."""
    maps = [line.split() for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    sizes = [int(end, 16) - int(begin, 16) for begin, end in (line[0].split("-") for line in maps if line[1] == "---p")]
    return sum(32 << 20 < size <= 64 << 20 for size in sizes)
