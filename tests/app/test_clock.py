"""A gateway whose clock is not trusted for long is a case; while it is, its page and its numbers say so."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from functools import partial
from typing import Any

import pytest

import gateway.app
from gateway import timekeeping
from gateway.clock import KeptClock, Signs
from gateway.events.build import to_ns
from gateway.outbox import shelves
from gateway.outbox.pick import Wanted
from gateway.outbox.shelves import Shelf


async def test_ten_minutes_without_a_clock_are_an_incident_and_the_clock_ends_it(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted = False
    signs = Signs(synchronised=lambda: trusted, rtc_ns=lambda: None)
    monkeypatch.setattr(gateway.app, "KeptClock", partial(KeptClock, signs))
    monkeypatch.setattr(timekeeping, "TELL_SECONDS", 0.1)
    monkeypatch.setattr(timekeeping, "LOOK_SECONDS", 0.05)
    site.configure(lambda text: text.replace("page: {port: 0}", "page: {port: 0}, clock: {trust: ntp}"))
    async with site.run() as app:
        await site.until(lambda: [i.condition for i in app.incidents.open] == ["clock_not_trusted"])
        status = json.loads((await site.get(app, "/api/status"))[1])
        assert (status["clock"]["state"], status["clock"]["events_held"]) == ("not_yet", True)
        assert "lineside_clock_trusted 0.0" in (await site.get(app, "/metrics"))[1]
        assert site.told() == [], "held"
        trusted = True
        await site.until(lambda: "cleared" in site.told())
        (opened,) = [event for event in site.receiver.events.values() if event["type"] == "io.lineside.gateway.raised.v1"]
        assert (opened["data"]["machine"], opened["data"]["condition"]) == ("gw", "clock_not_trusted")
        assert site.told() == ["raised", "cleared"], "no leap: the clock was right, and nobody knew"
        assert "lineside_clock_trusted 1.0" in (await site.get(app, "/metrics"))[1]


async def test_a_crash_between_the_correction_and_its_record_corrects_nothing_twice(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The transaction notes the stretch, so the next start knows that it was done."""
    ahead = 0
    signs = Signs(wall_ns=lambda: time.time_ns() + ahead, synchronised=lambda: ahead > 0, rtc_ns=lambda: None, marked_ns=lambda: 0)
    monkeypatch.setattr(gateway.app, "KeptClock", partial(KeptClock, signs))
    monkeypatch.setattr(timekeeping, "LOOK_SECONDS", 0.05)
    site.configure(lambda text: text.replace("page: {port: 0}", "page: {port: 0}, clock: {trust: ntp}"))
    site.oil(75.0)
    await site.receiver.stop()
    async with site.run() as app:
        await site.until(lambda: len(app.incidents.open) == 1)
        await app.acceptance.commit()
        before = (site.state / "clock.json").read_bytes()
        ahead = 2 * 10**9
        await site.until(lambda: app.time.corrected == 1)
    with sqlite3.connect(site.state / "outbox.db") as db:
        ((right_ns,),) = db.execute("SELECT time_ns FROM event WHERE type LIKE '%limit.raised%'").fetchall()
    (site.state / "clock.json").write_bytes(before)  # as if the power went between the two
    async with site.run() as app:
        await site.until(lambda: app.time.clock.trusted)
        await site.receiver.start()
        await site.until(lambda: "raised" in site.told())
    (opened,) = [event for event in site.receiver.events.values() if event["type"] == "io.lineside.limit.raised.v1"]
    assert to_ns(opened["time"]) == right_ns
    assert "timequality" not in opened


MONTH = 30 * 86_400 * 10**9


@pytest.fixture
def steer(site: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the wall clock of the gateway is ahead by. It is always synchronised."""
    ahead = [0]
    signs = Signs(wall_ns=lambda: time.time_ns() + ahead[0], synchronised=lambda: True, rtc_ns=lambda: None, marked_ns=lambda: 0)
    monkeypatch.setattr(gateway.app, "KeptClock", partial(KeptClock, signs))
    monkeypatch.setattr(timekeeping, "LOOK_SECONDS", 0.05)
    site.configure(lambda text: text.replace("timeout: 2s}", "timeout: 2s, max_age: 5d}"))
    return ahead


async def test_a_sender_that_asks_while_the_clock_leaps_lets_nothing_expire(site: Any, steer: list[int]) -> None:
    """The clock shows the next month already, and what is stored has not followed."""
    site.oil(75.0)
    await site.receiver.stop()
    async with site.run() as app:
        await site.until(lambda: len(app.incidents.open) == 1)
        await app.acceptance.commit()
        go = threading.Event()
        busy = app.outbox.submit(lambda _: go.wait(10))  # a disk that takes its time
        steer[0] = MONTH
        await site.until(lambda: app.time.clock.now_ns() > time.time_ns() + MONTH // 2)
        asked = asyncio.create_task(app.outbox.lease("crm", Wanted(10, max_age_ns=MONTH // 6)))
        await asyncio.sleep(0)
        go.set()
        await busy
        assert len(await asked) == 1
        await site.until(lambda: not app.outbox.leaping)
        assert len(await app.outbox.lease("crm", Wanted(10, max_age_ns=MONTH // 6))) == 1
        await site.receiver.start()
        await site.until(lambda: "clock_set" in site.told())
    assert site.told() == ["raised", "clock_set"]


async def test_a_crash_between_a_leap_and_its_record_leaps_once(site: Any, steer: list[int]) -> None:
    site.oil(75.0)
    await site.receiver.stop()
    async with site.run() as app:
        await site.until(lambda: len(app.incidents.open) == 1)
        await app.acceptance.commit()
        ends_ns = time.time_ns() + MONTH // 100
        shelf = Shelf(0, "press-07", "oil", False, 1, ends_ns, "anna", "")
        await app.outbox.run(lambda c: shelves.add(c, shelf))
        before = (site.state / "clock.json").read_bytes()
        steer[0] = MONTH
        await site.until(lambda: len(app.outbox.shifts) == 1)
    (site.state / "clock.json").write_bytes(before)  # as if the power went between the two
    async with site.run() as app:
        assert abs(app.time.clock.now_ns() - time.time_ns() - MONTH) < 60 * 10**9
        ((first, last, delta_ns),) = app.outbox.shifts
        assert (first, last >= 1, round(delta_ns / MONTH, 6)) == (1, True, 1.0)
        await app.time.look()
        assert app.time.clock.trusted
        assert len(app.outbox.shifts) == 1, "no second leap"
        ((until_ns,),) = await app.outbox.run(lambda c: c.execute("SELECT until_ns FROM shelf").fetchall())
        assert abs(until_ns - ends_ns - MONTH) < 10**9
        ((total,),) = await app.outbox.run(lambda c: c.execute("SELECT sum(to_ns - from_ns) FROM ledger WHERE what='readings'").fetchall())
        assert total < MONTH // 100, "it was away for a moment, not for a month"
        await site.receiver.start()
        await site.until(lambda: "raised" in site.told())
