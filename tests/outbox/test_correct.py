"""Times put right in the outbox: those of the gateway, of what was not sent, once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from gateway.contract import Event
from gateway.events.build import rfc3339
from gateway.outbox import correct, lease, ledger, retention
from gateway.outbox.append import Addressed, IncidentRow
from gateway.outbox.correct import Leap, Stretch
from gateway.outbox.pick import Wanted
from gateway.outbox.retention import Caps
from gateway.outbox.store import Outbox
from gateway.testkit.clock import FakeClock
from gateway.testkit.rigs import event

DAY = 86_400 * 10**9
T0 = 1_800_000_000 * 10**9
STRETCH = Stretch(after=1, from_ns=T0, to_ns=T0 + 600 * 10**9, delta_ns=3 * DAY)
TRUE = T0 + 40 * DAY
"""What a PLC told, whose clock was right."""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


def made(number: int, t_ns: int, **data: object) -> Event:
    return replace(event(number), time_ns=t_ns, recorded_ns=T0 + number * 10**9, data=msgspec.json.encode(data))


async def test_times_of_the_gateway_are_moved_and_all_others_stay(outbox: Outbox) -> None:
    own = T0 + 5 * 10**9
    data = {
        "since": rfc3339(own),
        "raised": rfc3339(TRUE),
        "title": "x 2027",
        "score": 1.5,
        "evidence": {"from_ns": own - 5, "to_ns": TRUE},
    }
    events = [made(1, own), made(2, own, **data), made(3, TRUE)]
    await outbox.append([], [Addressed(each, ("crm",)) for each in events])
    assert await outbox.run(lambda c: correct.correct(c, STRETCH)) == (2, 3)
    first, second, third = await outbox.lease("crm", Wanted(10))
    assert (first.time_ns, first.recorded_ns) == (own, events[0].recorded_ns), "it may have been sent as it is"
    assert (second.time_ns, second.recorded_ns) == (own + 3 * DAY, events[1].recorded_ns + 3 * DAY)
    assert msgspec.json.decode(second.data) == {
        **data,
        "since": rfc3339(own + 3 * DAY),
        "evidence": {"from_ns": own - 5 + 3 * DAY, "to_ns": TRUE},
    }
    assert (third.time_ns, third.recorded_ns) == (TRUE, events[2].recorded_ns + 3 * DAY), "no time of a source is touched"
    assert [each.id for each in (first, second, third)] == [each.id for each in events]
    assert [each.sequence for each in (first, second, third)] == [1, 2, 3]


async def test_a_crash_behind_the_commit_corrects_it_no_second_time(outbox: Outbox) -> None:
    await outbox.append([], [Addressed(made(n, T0 + n), ("crm",)) for n in range(3)])
    assert await outbox.run(correct.noted) == (0, 0)
    await outbox.run(lambda c: correct.correct(c, STRETCH))
    assert await outbox.run(correct.noted) == (T0, 3 * DAY)


async def test_a_correction_whose_commit_nobody_knew_of_is_done_once(outbox: Outbox) -> None:
    """It is tried again; and it was by less than the stretch lasted, so that what was put right lies within it again."""
    await outbox.append([], [Addressed(made(n, T0 + n), ("crm",)) for n in range(3)])
    stretch = Stretch(after=0, from_ns=T0, to_ns=T0 + 600 * 10**9, delta_ns=60 * 10**9)
    assert (await outbox.run(lambda c: correct.correct(c, stretch)))[1] == 3
    assert (await outbox.run(lambda c: correct.correct(c, stretch)))[1] == 3
    assert [each.time_ns for each in await outbox.lease("crm", Wanted(10))] == [T0 + n + 60 * 10**9 for n in range(3)]


async def test_incidents_and_the_ledger_go_along(outbox: Outbox) -> None:
    body = msgspec.json.encode({"id": "inc-1", "since_ns": T0 + 1, "raised_ns": TRUE, "explanation": {"last": rfc3339(T0 + 2)}})
    await outbox.append([IncidentRow("inc-1", "m", "c", "open", T0 + 1, TRUE, T0 + 3, body)], [])
    await outbox.run(lambda c: correct.correct(c, STRETCH))
    row = await outbox.run(lambda c: c.execute("SELECT since_ns, raised_ns, changed_ns, body FROM incident").fetchone())
    assert row[:3] == (T0 + 1 + 3 * DAY, TRUE, T0 + 3 + 3 * DAY)
    assert msgspec.json.decode(row[3])["explanation"] == {"last": rfc3339(T0 + 2 + 3 * DAY)}
    from gateway.outbox import incidents

    assert len(await outbox.run(incidents.unfinished)) == 1, "with the checksum of the new body"


async def test_nothing_behind_the_bound_is_given_out(outbox: Outbox) -> None:
    await outbox.append([], [Addressed(made(n, T0 + n), ("crm",)) for n in range(6)])
    outbox.newest = 2
    assert [each.sequence for each in await outbox.lease("crm", Wanted(10))] == [1, 2]
    assert [each.sequence for each in await outbox.lease("crm", Wanted(1, alone=True))] == [1]
    outbox.newest = 0
    assert await outbox.lease("crm", Wanted(10)) == []
    assert await outbox.lease("crm", Wanted(1, alone=True)) == []
    assert await outbox.lease("crm", Wanted(1, alone=True, anywhere=True)) == []
    outbox.newest = None
    assert len(await outbox.lease("crm", Wanted(10))) == 6


async def test_what_nobody_confirmed_says_so(outbox: Outbox) -> None:
    await outbox.append([], [Addressed(made(n, T0 + n), ("crm",)) for n in range(4)])
    outbox.doubted = [(2, 3, 0)]
    assert [each.timequality for each in await outbox.lease("crm", Wanted(10))] == ["", "unconfirmed", "unconfirmed", ""]


async def test_a_leap_makes_nothing_older(outbox: Outbox) -> None:
    """A month ahead; what was stored before is as old as it was, and what is really too old goes."""
    old, young = made(1, T0), replace(made(2, T0), recorded_ns=T0 + 28 * DAY)
    await outbox.append([], [Addressed(each, ("crm",)) for each in (old, young)])
    now, leap = T0 + 29 * DAY, 30 * DAY
    shifts = [(1, 2, leap)]
    assert await outbox.run(lambda c: retention.enforce(c, Caps(1 << 40, 0, 30 * DAY, shifts), now + leap)) == 0
    wanted = Wanted(10, max_age_ns=10 * DAY, shifts=shifts)
    assert await outbox.run(lambda c: len(lease.lease(c, "crm", wanted, now + leap))) == 1, "older than max_age by its own age"
    outbox.shifts = shifts
    assert [each.sequence for each in await outbox.lease("crm", Wanted(10, max_age_ns=10 * DAY))] == [2]
    assert await outbox.run(lambda c: retention.enforce(c, Caps(1 << 40, 0, 30 * DAY, shifts), now + leap + 3 * DAY)) == 1


async def test_a_leap_back_keeps_nothing_for_ever(outbox: Outbox) -> None:
    await outbox.append([], [Addressed(replace(made(1, T0), recorded_ns=T0 + 30 * DAY), ("crm",))])
    shifts = [(1, 1, -30 * DAY)]
    assert await outbox.run(lambda c: retention.enforce(c, Caps(1 << 40, 0, 30 * DAY, shifts), T0 + 29 * DAY)) == 0
    assert await outbox.run(lambda c: retention.enforce(c, Caps(1 << 40, 0, 30 * DAY, shifts), T0 + 31 * DAY)) == 1


async def test_while_the_clock_leaps_nothing_is_too_old(outbox: Outbox, clock: FakeClock) -> None:
    """Who asks then waits, until it is known how old it is."""
    await outbox.append([], [Addressed(replace(made(1, T0), recorded_ns=clock.now_ns()), ("crm",))])
    clock.set_wall(clock.now_ns() + 100 * DAY)
    outbox.followed.clear()
    asked = asyncio.gather(outbox.lease("crm", Wanted(10, max_age_ns=DAY)), outbox.keep_to_caps())
    await outbox.run(lambda _: None)
    assert await outbox.follow(lambda c: c.execute("SELECT count(*) FROM delivery").fetchone()) == (1,)
    assert not asked.done()
    outbox.shifts = [(1, 1, 100 * DAY)]
    outbox.followed.set()
    assert len((await asked)[0]) == 1
    outbox.shifts = []
    assert await outbox.lease("crm", Wanted(10, max_age_ns=DAY)) == [], "by the time of now it is"


class Busy:
    """A disk of somebody else's program, which refuses so many commits."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, _: sqlite3.Connection) -> None:
        if self.left:
            self.left -= 1
            raise sqlite3.OperationalError("disk I/O error")


async def test_a_leap_that_the_disk_refuses_is_done_before_all_that_comes_after_it(outbox: Outbox, clock: FakeClock) -> None:
    """Else a shelf would end, or an incident be forgotten, by a time that is not theirs."""
    refuses, order = Busy(1), list[str]()
    outbox.followed.clear()
    leap = outbox.follow(lambda c: (refuses(c), order.append("leap")))
    await until(lambda: outbox.repeating == 1)
    later = asyncio.create_task(outbox.insist(lambda _: order.append("later")))
    await outbox.run(lambda _: None)
    assert order == []
    await clock.advance(1.0)
    await leap
    outbox.followed.set()
    await later
    assert order == ["leap", "later"]
    assert outbox.repeating == 0


async def test_what_begins_while_the_clock_is_not_right_ends_as_much_later(outbox: Outbox) -> None:
    def begin(c: sqlite3.Connection) -> None:
        for number, since_ns in enumerate((T0 - DAY, T0 + 5)):
            c.execute("INSERT INTO shelf VALUES (?, 'press-07', '*', 0, ?, ?, 'eva', '')", (number + 1, since_ns, since_ns + DAY))
            c.execute("INSERT INTO breaker VALUES (?, 1, 1, ?, ?, 'quota')", (str(number), since_ns + DAY, since_ns))

    await outbox.run(begin)
    await outbox.run(lambda c: correct.correct(c, Stretch(0, T0, T0 + 10, 9 * DAY)))
    for table, end in (("shelf", "until_ns"), ("breaker", "ready_ns")):
        found = await outbox.run(lambda c: c.execute(f"SELECT since_ns, {end} FROM {table} ORDER BY since_ns").fetchall())  # noqa: B023
        assert found == [(T0 - DAY, T0), (T0 + 5 + 9 * DAY, T0 + 5 + 10 * DAY)]


async def test_a_leap_is_done_once_however_often_it_is_asked_for(outbox: Outbox) -> None:
    """Whether a commit that failed is on the disk nobody knows, so it is asked for again."""
    await outbox.append([], [Addressed(made(1, T0), ("crm",))])
    await outbox.run(lambda c: c.execute("INSERT INTO aside VALUES ('crm', 'm1', ?, 'budget')", (T0,)))
    await outbox.run(lambda c: ledger.seen_alive(c, T0))
    leap = Leap(7, "boot", 5, DAY)
    for _ in range(3):
        assert await outbox.run(lambda c: correct.age_as_before(c, leap)) == 1
        await outbox.append([], [Addressed(made(2, T0), ("crm",))])
    assert await outbox.run(lambda c: c.execute("SELECT until_ns FROM aside").fetchall()) == [(T0 + DAY,)]
    assert await outbox.run(ledger.last_alive_ns) == T0 + DAY
    assert await outbox.run(correct.leapt) == leap._replace(last=1)
    assert await outbox.run(lambda c: correct.age_as_before(c, leap._replace(number=8))) == 2
