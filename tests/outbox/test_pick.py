"""Who is set aside steps aside when its turn comes: in bounded steps, and in order whatever ends them halfway."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gateway.outbox import memory, pick
from gateway.outbox.append import Addressed
from gateway.outbox.memory import SetAside
from gateway.outbox.pick import Wanted
from gateway.outbox.store import Outbox
from gateway.testkit.rigs import event

STEP = 10


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (memory, pick):
        monkeypatch.setattr(module, "STEP", STEP)
    monkeypatch.setattr(pick, "LOOK", STEP)


async def store(outbox: Outbox, *machines: str) -> None:
    await outbox.append([], [Addressed(replace(event(n), partitionkey=machine), ("crm",)) for n, machine in enumerate(machines)])


async def lanes(outbox: Outbox) -> list[int]:
    """By sequence."""
    return [row[0] for row in await outbox.run(lambda c: c.execute("SELECT lane FROM delivery ORDER BY seq").fetchall())]


async def test_no_transaction_moves_more_than_a_step_and_the_others_come_through(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    await store(outbox, *["m1"] * 55, "m2")
    await outbox.run(lambda c: memory.set_aside(c, "crm", SetAside("m1", 0, "refused")))
    assert await lanes(outbox) == [1] * 56, "nothing moves before its turn"
    before = outbox.commits
    assert [e.partitionkey for e in await outbox.lease("crm", Wanted(5))] == ["m2"]
    assert await lanes(outbox) == [2] * 55 + [1]
    assert outbox.commits - before >= 55 // STEP, "others get the writer between"
    before = outbox.commits
    await outbox.take_back("crm", "m1", "refused")
    assert await lanes(outbox) == [1] * 56
    assert outbox.commits - before >= 55 // STEP


async def test_killed_while_it_is_taken_back_the_oldest_is_still_the_first(outbox: Outbox) -> None:
    await store(outbox, *["m1"] * 25)
    await outbox.run(lambda c: memory.set_aside(c, "crm", SetAside("m1", 0, "refused")))
    assert await outbox.lease("crm", Wanted(5)) == []
    assert await outbox.run(lambda c: memory.take_back(c, "crm", "m1", "refused")) == 16
    assert await lanes(outbox) == [2] * 15 + [1] * 10
    assert [e.sequence for e in await outbox.lease("crm", Wanted(1, alone=True, only="m1"))] == [1]
    assert await outbox.lease("crm", Wanted(5)) == [], "it is still set aside"
    await outbox.take_back("crm", "m1", "refused")
    assert [e.sequence for e in await outbox.lease("crm", Wanted(25))] == list(range(1, 26))


async def test_taking_one_back_leaves_the_others_where_they_are(outbox: Outbox) -> None:
    await store(outbox, *["m1", "m2", "m3"] * 10)
    for machine in ("m1", "m2"):
        await outbox.run(lambda c, machine=machine: memory.set_aside(c, "crm", SetAside(machine, 0, "refused")))
    while len(await outbox.lease("crm", Wanted(30))) < 10:
        continue
    assert await lanes(outbox) == [2, 2, 1] * 10
    await outbox.take_back("crm", "m1", "refused")
    assert await lanes(outbox) == [1, 2, 1] * 10


@pytest.mark.parametrize("wanted", [Wanted(1, alone=True, without=("m1",)), Wanted(1, alone=True, only="m2")])
async def test_the_oldest_of_a_machine_far_behind_is_found_in_steps(outbox: Outbox, wanted: Wanted) -> None:
    await store(outbox, *["m1"] * 55, "m2")
    before = outbox.commits
    assert [e.partitionkey for e in await outbox.lease("crm", wanted)] == ["m2"]
    assert outbox.commits - before >= 55 // STEP
    assert await outbox.lease("crm", Wanted(1, alone=True, only="m3")) == []
