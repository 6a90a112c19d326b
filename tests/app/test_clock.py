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
from gateway.clock import KeptClock, Shift, Signs
from gateway.clock.record import MOST
from gateway.contract import Finding, Severity, State
from gateway.events.build import to_ns
from gateway.incidents import Incident, Incidents, Rule, lifecycle
from gateway.operators import desk
from gateway.outbox import incidents, shelves
from gateway.outbox.insist import Damaged
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
    """The clock shows the next month already, and what is stored has not followed: the sender waits until it has."""
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
        await site.until(app.outbox.followed.is_set)
        assert len(await app.outbox.lease("crm", Wanted(10, max_age_ns=MONTH // 6))) == 1
        await site.receiver.start()
        await site.until(lambda: "clock_set" in site.told())
    assert site.told() == ["raised", "clock_set"]
    assert not any("timequality" in event for event in site.receiver.events.values()), "a trusted clock has confirmed it"


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


async def test_what_is_shelved_stays_so_when_the_clock_leaps(site: Any, steer: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also until the desk looks again, which it does every two seconds."""
    monkeypatch.setattr(lifecycle, "REVIEW_SECONDS", 0.0)
    monkeypatch.setattr(desk, "POLL_SECONDS", 0.05)
    async with site.run() as app:
        shelf = Shelf(0, "press-07", "*", False, 1, time.time_ns() + MONTH // 100, "anna", "")
        await app.outbox.run(lambda c: shelves.add(c, shelf))
        await site.until(lambda: len(app.desk.shelving.shelves) == 1)
        monkeypatch.setattr(desk, "POLL_SECONDS", 1000.0)
        await asyncio.sleep(0.1)  # the last look at the old pace
        site.oil(75.0)
        await site.until(lambda: len(app.incidents.waiting) == 1)
        steer[0] = MONTH
        await site.until(lambda: "clock_set" in site.told())
        flushes = app.pipeline.flushes
        await site.until(lambda: app.pipeline.flushes > flushes + 5)
        assert app.incidents.open == []
        ((incident, _),) = app.incidents.waiting
        assert incident.condition.startswith("oil_temperature")
        ((until_ns,),) = await app.outbox.run(lambda c: c.execute("SELECT until_ns FROM shelf").fetchall())
        assert [each.until_ns for each in app.desk.shelving.shelves] == [until_ns], "in memory as on disk"
    assert site.told() == ["clock_set"]


async def test_a_desk_that_looks_while_the_clock_leaps_ends_no_shelf(site: Any, steer: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """It asked by the time before, and is answered with it after the leap."""
    monkeypatch.setattr(desk, "POLL_SECONDS", 0.05)
    async with site.run() as app:
        shelf = Shelf(0, "press-07", "*", False, 1, time.time_ns() + MONTH // 100, "anna", "")
        await app.outbox.run(lambda c: shelves.add(c, shelf))
        await site.until(lambda: len(app.desk.shelving.shelves) == 1)
        monkeypatch.setattr(desk, "POLL_SECONDS", 1000.0)
        go = threading.Event()
        busy = app.outbox.submit(lambda _: go.wait(10))
        look = asyncio.create_task(app.desk.look(app._renewal, app.pipeline.shadow))
        await asyncio.sleep(0)
        steer[0] = MONTH
        await site.until(lambda: app.time.clock.now_ns() > time.time_ns() + MONTH // 2)
        go.set()
        await busy
        await look
        assert len(app.desk.shelving.shelves) == 1


async def test_a_watch_hears_on_when_the_clock_went_back_and_the_power_with_it(site: Any, steer: list[int]) -> None:
    """Its state is of before: of times that are still to come."""
    steer[0] = MONTH
    site.oil(75.0)
    async with site.run():
        await site.until(lambda: site.told() == ["raised"])
    states = site.state / "detectors" / "limit-1.state"
    before = states.read_bytes()
    async with site.run():
        steer[0] = 0
        await site.until(lambda: "clock_set" in site.told())
    states.write_bytes(before)
    site.oil(50.0)
    async with site.run():
        await site.until(lambda: "cleared" in site.told())


async def test_a_watch_hears_on_when_the_clock_was_set_twice_while_its_source_was_away(site: Any, steer: list[int]) -> None:
    """And when it was loaded anew meanwhile, by a start or a reload: what its source does not tell it has not followed."""
    steer[0] = 2 * MONTH
    site.oil(75.0)
    async with site.run() as app:
        await site.until(lambda: site.told() == ["raised"])
        await site.plc.stop()
        for count, back in enumerate((MONTH, -MONTH // 30), 1):
            steer[0] -= back
            await site.until(lambda: site.told().count("clock_set") == count)  # noqa: B023
        site.configure(lambda text: text.replace("hysteresis: 2", "hysteresis: 3"))
        assert await app.reload()
        site.oil(50.0)
        await site.plc.start()
        await site.until(lambda: "cleared" in site.told())


async def test_no_clock_leaps_while_watches_are_made_ready(site: Any, steer: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """By a reload: they have their states already, and would not hear of it."""
    async with site.run() as app:
        prepare, ready, go = app.lanes.prepare, asyncio.Event(), asyncio.Event()

        async def slowly(watches: Any) -> None:
            await prepare(watches)
            ready.set()
            await go.wait()

        monkeypatch.setattr(app.lanes, "prepare", slowly)
        loading = asyncio.create_task(app.reload())
        await ready.wait()
        steer[0] = MONTH
        await site.until(lambda: app.time.clock.steps == 1)
        flushes = app.pipeline.flushes
        await site.until(lambda: app.pipeline.flushes > flushes + 5)
        assert app.time.clock.now_ns() < time.time_ns() + MONTH // 2
        go.set()
        assert await loading
        await site.until(lambda: "clock_set" in site.told())


async def test_a_reload_does_not_wait_for_a_leap_that_the_disk_does_not_take(site: Any, steer: list[int]) -> None:
    async with site.run() as app:
        follow, refuses = app.outbox.follow, [True]

        def refusing(operation: Any) -> Any:
            return follow(lambda connection: _refuse() if refuses else operation(connection))

        app.outbox.follow = refusing
        steer[0] = MONTH
        await site.until(lambda: bool(app.outbox.refused))
        async with asyncio.timeout(5):
            assert await app.reload()
        refuses.clear()
        await site.until(lambda: "clock_set" in site.told())


async def test_no_clock_leaps_while_a_disk_refuses_what_was_stamped_before(site: Any, steer: list[int]) -> None:
    """It would come behind the leap, with the time of before; and a disk that refuses has nothing to be sent."""
    async with site.run() as app:
        refuses = True

        def operation(_: sqlite3.Connection) -> None:
            if refuses:
                _refuse()

        insisting = asyncio.create_task(app.outbox.insist(operation))
        await site.until(lambda: app.outbox.repeating == 1)
        steer[0] = MONTH
        await site.until(lambda: app.time.clock.state == "stepped")
        flushes = app.pipeline.flushes
        await site.until(lambda: app.pipeline.flushes > flushes + 5)
        assert app.time.clock.now_ns() < time.time_ns() + MONTH // 2
        refuses = False
        await insisting
        await site.until(lambda: "clock_set" in site.told())


@pytest.fixture
def in_1970(site: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A clock that is two days behind until the second of these, which is the wall clock's advance, is set."""
    ahead = [0]
    signs = Signs(wall_ns=lambda: time.time_ns() + ahead[0], synchronised=lambda: ahead[0] > 0, rtc_ns=lambda: None, marked_ns=lambda: 0)
    monkeypatch.setattr(gateway.app, "KeptClock", partial(KeptClock, signs))
    monkeypatch.setattr(timekeeping, "LOOK_SECONDS", 0.05)
    site.configure(lambda text: text.replace("page: {port: 0}", "page: {port: 0}, clock: {trust: ntp}"))
    return ahead


async def test_a_full_disk_keeps_no_clock_from_being_put_right(site: Any, in_1970: list[int]) -> None:
    """What waits for its time waits for ever, and keeps its room, if the time waits for room. What waits in memory is put right there."""
    async with site.run() as app:
        app.outbox.room.clear()
        site.oil(75.0)
        await site.until(lambda: app.acceptance.waiting > 0)
        in_1970[0] = MONTH
        await site.until(lambda: app.time.clock.trusted)
        assert site.told() == []
        app.outbox.room.set()
        await site.until(lambda: "raised" in site.told())
        (opened,) = [event for event in site.receiver.events.values() if event["type"] == "io.lineside.limit.raised.v1"]
        times = [opened["time"], opened["recordedtime"], opened["data"]["since"], opened["data"]["raised"]]
        assert all(abs(to_ns(each) - time.time_ns() - MONTH) < 60 * 10**9 for each in times)
        (row,) = await app.outbox.run(lambda c: c.execute("SELECT since_ns, raised_ns, changed_ns FROM incident").fetchall())
        assert all(abs(each - time.time_ns() - MONTH) < 60 * 10**9 for each in row)


async def test_a_clock_that_leaps_every_day_is_remembered_within_a_bound(site: Any, steer: list[int]) -> None:
    """Each event that waits is asked about each leap."""
    async with site.run() as app:
        app.time._record.shifts += [Shift(1, 1, 1)] * 200
        steer[0] = MONTH
        await site.until(lambda: len(app.outbox.shifts) > 0)
        assert len(app.outbox.shifts) == MOST
        assert abs(app.outbox.shifts[-1].delta_ns - MONTH) < 10**9


async def test_readings_are_in_doubt_no_longer_than_the_clock_is(site: Any, in_1970: list[int]) -> None:
    """Though the disk takes long for what was stored before."""
    async with site.run() as app:
        await site.until(lambda: app.pipeline.line.table.doubt_from_ns > 0)
        go = threading.Event()
        hanging = asyncio.create_task(app.outbox.look(lambda _: go.wait(10)))
        in_1970[0] = MONTH
        await site.until(lambda: app.time.clock.trusted)
        assert not app.outbox.followed.is_set()
        assert app.pipeline.line.table.doubt_from_ns == 0
        go.set()
        await hanging
        await site.until(app.outbox.followed.is_set)


async def test_what_waits_for_a_full_disk_does_not_expire_by_a_leap(site: Any, steer: list[int]) -> None:
    async with site.run() as app:
        app.outbox.room.clear()
        site.oil(75.0)
        await site.until(lambda: app.acceptance.waiting > 0)
        steer[0] = MONTH
        await site.until(lambda: len(app.outbox.shifts) == 1)
        app.outbox.room.set()
        await site.until(lambda: "raised" in site.told())


async def test_a_source_that_is_away_while_the_clock_is_put_right_is_not_away_for_that(site: Any, in_1970: list[int]) -> None:
    """What is not in the ledger yet goes with the clock as what is."""
    await site.plc.stop()
    async with site.run() as app:
        await site.until(lambda: app.status.source("press-07").state == "down")
        in_1970[0] = MONTH
        await site.until(lambda: "clock_set" in site.told())
        await site.plc.start()
        await site.until(lambda: app.status.source("press-07").state == "up")
    with sqlite3.connect(site.state / "outbox.db") as db:
        ((from_ns, to_ns),) = db.execute("SELECT from_ns, to_ns FROM ledger WHERE reason='offline'").fetchall()
    assert time.time_ns() + MONTH - 60 * 10**9 < from_ns < to_ns


@pytest.mark.parametrize("leap", [MONTH, -MONTH])
async def test_a_source_that_is_away_while_the_clock_leaps_is_away_as_long_as_it_is(site: Any, steer: list[int], leap: int) -> None:
    steer[0] = MONTH
    await site.plc.stop()
    async with site.run() as app:
        await site.until(lambda: app.status.source("press-07").state == "down")
        await app.outbox.tidy(app._losses, 0)
        steer[0] += leap
        await site.until(lambda: "clock_set" in site.told())
        await site.plc.start()
        await site.until(lambda: app.status.source("press-07").state == "up")
    with sqlite3.connect(site.state / "outbox.db") as db:
        ((from_ns, to_ns),) = db.execute("SELECT from_ns, to_ns FROM ledger WHERE reason='offline'").fetchall()
    assert 0 < to_ns - from_ns < 60 * 10**9


async def test_a_hold_that_has_begun_lasts_as_long_over_a_leap_and_a_start(site: Any, steer: list[int]) -> None:
    """Where it survives a start: of what a business message caused."""
    about: dict[str, Any] = {
        "machine": "mes",
        "condition": "order_late",
        "severity": Severity.WARNING,
        "title": "late",
        "hold_seconds": 3600.0,
    }
    async with site.run() as app:
        now_ns = app.clock.now_ns()
        finding = Finding(state=State.ACTIVE, t_ns=now_ns, since_ns=now_ns, **about)
        rule = Rule("limit-1", "limit", 3600.0, 0.0)
        for change in app.incidents.apply(finding, rule, from_record=True):
            app.acceptance.change(change)
        await app.acceptance.commit()
        steer[0] = MONTH
        await site.until(lambda: "clock_set" in site.told())
        rows = await app.outbox.run(incidents.going_on)
    assert [Incident.load(row.body).changed_ns // 10**9 for row in rows] == [(now_ns + MONTH) // 10**9]
    found = Incidents(app.clock, lambda *_: "", evidence_seconds=0.0)
    found.restore([Incident.load(row.body) for row in rows], {})
    assert list(found.tick()) == []
    assert found.next_due() is not None


async def test_a_stop_while_the_clock_leaps_ends_the_leap_first(site: Any, systemd: Any, steer: list[int]) -> None:
    site.oil(75.0)
    await site.receiver.stop()
    async with site.run() as app:
        await site.until(lambda: len(app.incidents.open) == 1)
        await app.acceptance.commit()
        go = threading.Event()
        busy = app.outbox.submit(lambda _: go.wait(10))
        steer[0] = MONTH
        await site.until(lambda: app.time.clock.now_ns() > time.time_ns() + MONTH // 2)
        app.stop()
        await site.until(lambda: "STOPPING=1" in systemd.listen())
        go.set()
        await busy
    known = json.loads((site.state / "clock.json").read_bytes())
    assert known["leaps"] == len(known["shifts"]) == 1
    async with site.run() as app:
        assert abs(app.time._record.seen_ns - time.time_ns() - MONTH) < 60 * 10**9, "seen at no time that was not yet"
        await site.receiver.start()
        await site.until(lambda: "raised" in site.told())


async def test_a_leap_that_the_disk_does_not_take_before_the_stop_is_none(
    site: Any, steer: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start goes on by the time of what is stored, and then leaps."""
    monkeypatch.setattr(gateway.app, "DRAIN_SECONDS", 0.2)
    site.oil(75.0)
    await site.receiver.stop()
    async with site.run() as app:
        await site.until(lambda: len(app.incidents.open) == 1)
        await app.acceptance.commit()
        await app.time.close()
        before = json.loads((site.state / "clock.json").read_bytes())
        follow = app.outbox.follow

        def refused(operation: Any) -> Any:
            return follow(lambda _: _refuse())

        app.outbox.follow = refused
        steer[0] = MONTH
        await site.until(lambda: bool(app.outbox.refused))
    known = json.loads((site.state / "clock.json").read_bytes())
    assert (known["offset_ns"], known["leaps"]) == (before["offset_ns"], 0)
    async with site.run() as app:
        await site.receiver.start()
        await site.until(lambda: site.told() == ["raised", "clock_set"])


async def test_an_outbox_that_is_found_damaged_by_a_leap_during_the_stop_is_told(
    site: Any, systemd: Any, steer: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.app, "DRAIN_SECONDS", 0.2)
    monkeypatch.setattr(gateway.app, "LAST_SEND_SECONDS", 0.2)
    go = threading.Event()

    def damaged(_: object) -> None:
        go.wait(10)
        raise sqlite3.DatabaseError("database disk image is malformed")

    async def run() -> None:
        async with site.run() as app:
            follow = app.outbox.follow
            app.outbox.follow = lambda _: follow(damaged)
            steer[0] = MONTH
            await site.until(lambda: app.time.clock.now_ns() > time.time_ns() + MONTH // 2)
            app.stop()
            await site.until(lambda: "STOPPING=1" in systemd.listen())
            go.set()

    with pytest.raises(ExceptionGroup) as failed:
        await run()
    assert failed.group_contains(Damaged)


def _refuse() -> None:
    raise sqlite3.OperationalError("disk I/O error")
