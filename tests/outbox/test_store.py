"""Accept, lease, settle: what was accepted is there until it is delivered, whatever happens in between."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.contract import DUPLICATE, SENT, Outcome
from gateway.outbox import tally
from gateway.outbox.append import Addressed, append
from gateway.outbox.holding import ROW_BYTES
from gateway.outbox.pick import Wanted
from gateway.outbox.store import Outbox
from gateway.outbox.tally import Kind
from gateway.testkit.clock import FakeClock
from gateway.testkit.rigs import event


def addressed(*numbers: int, to: tuple[str, ...] = ("crm",)) -> list[Addressed]:
    return [Addressed(event(number), to) for number in numbers]


@pytest.mark.parametrize(("count", "statements"), [(1, 1), (7, 7), (8, 1), (41, 3), (73, 4)])
async def test_many_events_take_few_statements(outbox: Outbox, count: int, statements: int) -> None:
    """Each gives the interpreter away, and has to wait until it gets it back."""
    told: list[str] = []
    await outbox.look(lambda c: c.set_trace_callback(told.append))
    await outbox.append([], addressed(*range(1, count + 1)))
    await outbox.look(lambda c: c.set_trace_callback(None))
    assert sum(statement.startswith("INSERT INTO event ") for statement in told) == statements
    assert [e.sequence for e in await outbox.lease("crm", Wanted(100))] == [*range(1, count + 1)]


@pytest.mark.parametrize("first", [SENT, Outcome.park("no")])
async def test_an_event_stays_as_long_as_anybody_has_it(outbox: Outbox, first: Outcome) -> None:
    """Settled twice, the second time as taken: not a dead letter's event, nor one that another destination waits for."""
    await outbox.append([], addressed(1, 2, 3, to=("crm", "plant")))
    leased = await outbox.lease("crm", Wanted(10))
    await outbox.settle("crm", leased, [first] * 3)
    await outbox.settle("crm", leased, [SENT] * 3)
    assert [e.sequence for e in await outbox.lease("plant", Wanted(10))] == [1, 2, 3]
    await outbox.settle("plant", leased[:1] + leased[2:], [SENT] * 2)
    left = await outbox.run(lambda c: [row[0] for row in c.execute("SELECT seq FROM event ORDER BY seq")])
    assert left == ([2] if first is SENT else [1, 2, 3])


async def test_a_dead_letter_of_the_only_destination_keeps_its_event(outbox: Outbox) -> None:
    await outbox.append([], addressed(1, 2))
    leased = await outbox.lease("crm", Wanted(10))
    await outbox.settle("crm", leased, [SENT, Outcome.park("no")])
    await outbox.settle("crm", leased, [SENT, SENT])
    assert await outbox.run(lambda c: c.execute("SELECT seq FROM event").fetchall()) == [(2,)]


async def test_what_comes_in_an_hour_is_known_after_a_minute(outbox: Outbox, clock: FakeClock) -> None:
    entries = addressed(1, 2, 3)
    await outbox.append([], [*entries, Addressed(event(4), ())])
    await outbox.append([], addressed(5))
    assert outbox.holding.bytes_per_hour() is None
    await clock.advance(60.0)
    one = len(entries[0].event.data) + ROW_BYTES
    assert outbox.holding.bytes_per_hour() == 4 * one * 60


async def counts(outbox: Outbox, destination: str = "crm") -> dict[str, int]:
    return (await outbox.run(tally.backlog))[destination]


async def test_what_was_appended_comes_back_in_order_with_its_sequence(outbox: Outbox) -> None:
    await outbox.append([], addressed(3, 1, 2))
    leased = await outbox.lease("crm", Wanted(10))
    assert [(e.id, e.sequence) for e in leased] == [("ev-00000003", 1), ("ev-00000001", 2), ("ev-00000002", 3)]
    assert replace(leased[1], sequence=1) == event(1)


async def test_many_who_wait_share_few_commits(outbox: Outbox) -> None:
    await outbox.append([], addressed(0))
    before = outbox.commits
    await asyncio.gather(*(outbox.append([], addressed(n)) for n in range(1, 501)))
    assert outbox.commits - before <= 10
    assert (await counts(outbox))["stored"] == 501


async def test_the_same_id_is_stored_once(outbox: Outbox) -> None:
    await outbox.append([], addressed(1))
    await outbox.append([], addressed(1, 2))
    assert [e.id for e in await outbox.lease("crm", Wanted(10))] == ["ev-00000001", "ev-00000002"]
    assert (await counts(outbox))["stored"] == 2


async def test_an_operation_that_raises_is_undone_alone(outbox: Outbox) -> None:
    def broken(connection: sqlite3.Connection) -> None:
        append(connection, [], addressed(66))
        raise TypeError("a bug")

    results = await asyncio.gather(
        outbox.append([], addressed(1)), outbox.run(broken), outbox.append([], addressed(2)), return_exceptions=True
    )
    assert isinstance(results[1], TypeError)
    assert [e.id for e in await outbox.lease("crm", Wanted(10))] == ["ev-00000001", "ev-00000002"]


async def test_a_group_that_cannot_be_committed_is_unknown_to_all_of_it(outbox: Outbox) -> None:
    def fatal(connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    together = threading.Event()
    first = asyncio.create_task(outbox.look(lambda _: together.wait(10)))
    both = asyncio.gather(outbox.run(lambda c: append(c, [], addressed(1))), outbox.run(fatal), return_exceptions=True)
    await asyncio.sleep(0)
    together.set()
    stored, failed = await both
    assert await first
    assert isinstance(failed, sqlite3.OperationalError)
    assert isinstance(stored, sqlite3.OperationalError)
    assert await outbox.lease("crm", Wanted(10)) == []


async def test_an_append_that_failed_with_its_group_is_tried_again(outbox: Outbox, clock: FakeClock) -> None:
    def fatal(connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    failing = asyncio.gather(outbox.run(fatal), return_exceptions=True)
    appending = asyncio.create_task(outbox.append([], addressed(1)))
    await failing
    await until(lambda: appending.done() or bool(outbox.refused))
    while not appending.done():
        await clock.advance(1.0)
        await asyncio.sleep(0.005)
    assert [e.id for e in await outbox.lease("crm", Wanted(10))] == ["ev-00000001"]
    assert outbox.refused == ""


async def test_full_disk_is_waited_for_and_nothing_accepted_is_lost(
    outbox: Outbox, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "lineside")
    await outbox.append([], addressed(1))
    pages = await outbox.run(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    await outbox.run(lambda c: c.execute(f"PRAGMA max_page_count={pages}").fetchone()[0])
    bulky = [Addressed(event(2, data=b'"' + b"x" * 40_000 + b'"'), ("crm",))]
    appending = asyncio.create_task(outbox.append([], bulky))
    await until(lambda: bool(outbox.refused))
    for _ in range(3):
        await clock.advance(1.0)
        await asyncio.sleep(0.01)
    assert not appending.done()
    assert [e.id for e in await outbox.lease("crm", Wanted(10))] == ["ev-00000001"]
    await outbox.run(lambda c: c.execute("PRAGMA max_page_count=100000").fetchone()[0])
    while not appending.done():
        await clock.advance(1.0)
        await asyncio.sleep(0.005)
    assert [e.id for e in await outbox.lease("crm", Wanted(10))] == ["ev-00000001", "ev-00000002"]
    assert [r.getMessage() for r in caplog.records] == ["outbox cannot write", "outbox writes again"]


async def test_what_was_under_way_when_the_disk_filled_up_does_not_say_that_it_stores_again(outbox: Outbox, clock: FakeClock) -> None:
    """The reserve made room for it, and for nothing that is new."""
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorname = "SQLITE_FULL"
    refused, stored = (asyncio.get_running_loop().create_future() for _ in range(2))
    refused.set_exception(full)
    stored.set_result(1)
    await outbox.insist(lambda _: 1, refused)
    assert await outbox.insist(lambda _: 1, stored, yields=True) == 1
    assert (outbox.room.is_set(), outbox.condition.state) == (False, "full")
    while not outbox.room.is_set():
        await clock.advance(1.0)
        await asyncio.sleep(0.005)
    await outbox.append([], addressed(1))
    assert outbox.refused == ""


async def test_what_is_delivered_goes_and_the_law_holds(outbox: Outbox) -> None:
    await outbox.append([], addressed(1, 2, 3, 4, to=("crm", "plant")))
    events = await outbox.lease("crm", Wanted(10))
    await outbox.settle("crm", events, [SENT, Outcome.park("422: no such asset"), DUPLICATE, Outcome.retry("busy")])
    crm, plant = await counts(outbox), await counts(outbox, "plant")
    assert (crm["stored"], crm["delivered"], crm["parked"], crm["ready"]) == (4, 2, 1, 1)
    assert (plant["stored"], plant["ready"]) == (4, 4)
    assert [e.id for e in await outbox.lease("crm", Wanted(10))] == ["ev-00000004"]
    assert len(await outbox.lease("plant", Wanted(10))) == 4
    await outbox.settle("plant", await outbox.lease("plant", Wanted(10)), [SENT] * 4)
    assert await outbox.run(lambda c: c.execute("SELECT id FROM event ORDER BY seq").fetchall()) == [("ev-00000002",), ("ev-00000004",)]


async def test_a_parked_event_keeps_its_reason_and_a_waiting_one_its_attempts(outbox: Outbox) -> None:
    await outbox.append([], addressed(1, 2))
    events = await outbox.lease("crm", Wanted(10))
    for _ in range(2):
        await outbox.settle("crm", events, [Outcome.park("422: no such asset"), Outcome.retry("503: busy")])
    dead = await outbox.run(lambda c: c.execute("SELECT kind, attempts, reason FROM dead_letter").fetchall())
    waiting = await outbox.run(lambda c: c.execute("SELECT attempts, reason FROM delivery").fetchall())
    assert dead == [(Kind.PARKED, 1, "422: no such asset")]
    assert waiting == [(2, "503: busy")]


async def test_settling_twice_counts_once(outbox: Outbox) -> None:
    """A commit whose answer was lost is done again."""
    await outbox.append([], addressed(1, 2, 4))
    events = await outbox.lease("crm", Wanted(10))
    for batch in (events, events, events[::2]):
        await outbox.settle("crm", batch, [SENT] * len(batch))
    found = await counts(outbox)
    assert (found["stored"], found["delivered"], found["ready"]) == (3, 3, 0)


async def test_a_sequence_is_never_used_again(tmp_path: Path, clock: FakeClock) -> None:
    for n in (1, 2, 3):
        box = Outbox(tmp_path, clock)
        box.open()
        await box.append([], addressed(n))
        (leased,) = await box.lease("crm", Wanted(10))
        assert leased.sequence == n
        await box.settle("crm", [leased], [SENT])
        await box.close()


async def test_after_closing_nothing_is_taken(tmp_path: Path, clock: FakeClock) -> None:
    box = Outbox(tmp_path, clock)
    box.open()
    await box.close()
    with pytest.raises(RuntimeError, match="closed"):
        await box.append([], addressed(1))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE event SET severity=12 WHERE seq=2",
        "UPDATE event SET data=CAST('{\"n\":2}' AS BLOB) WHERE seq=2",
        "UPDATE event SET correlationid='inc-x' WHERE seq=2",
        "UPDATE event SET recorded_ns=recorded_ns+1 WHERE seq=2",
        "UPDATE event SET subject=CAST(x'61ff62' AS TEXT) WHERE seq=2",
    ],
)
async def test_a_damaged_row_is_quarantined_alone_and_seen(outbox: Outbox, damage: str) -> None:
    await outbox.append([], addressed(1, 2, 3, to=("crm", "plant")))
    await outbox.run(lambda c: c.execute(damage).rowcount)
    assert [e.id for e in await outbox.lease("crm", Wanted(10))] == ["ev-00000001", "ev-00000003"]
    assert [e.id for e in await outbox.lease("plant", Wanted(10))] == ["ev-00000001", "ev-00000003"]
    for destination in ("crm", "plant"):
        found = await counts(outbox, destination)
        assert (found["stored"], found["quarantined"], found["ready"]) == (3, 1, 2)


async def test_many_damaged_rows_do_not_stop_those_behind_them(outbox: Outbox) -> None:
    await outbox.append([], addressed(*range(1, 8)))
    await outbox.run(lambda c: c.execute("UPDATE event SET crc=crc+1 WHERE seq<=5").rowcount)
    assert await outbox.lease("crm", Wanted(5)) == []
    assert [e.sequence for e in await outbox.lease("crm", Wanted(5))] == [6, 7]


async def until(condition: object, seconds: float = 5.0) -> None:
    assert callable(condition)
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
