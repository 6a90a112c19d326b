"""Times put right in the outbox: those of the gateway, of what was not sent, once."""

from __future__ import annotations

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
    await outbox.append([], [Addressed(replace(made(1, T0), recorded_ns=clock.now_ns()), ("crm",))])
    clock.set_wall(clock.now_ns() + 100 * DAY)
    outbox.leaping = True
    assert await outbox.run(lambda c: retention.enforce(c, outbox.caps, clock.now_ns())) == 0
    assert len(await outbox.lease("crm", Wanted(10, max_age_ns=DAY))) == 1
    outbox.leaping = False
    assert await outbox.lease("crm", Wanted(10, max_age_ns=DAY)) == [], "it was only put off"


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
