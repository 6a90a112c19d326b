"""What a fallback takes over, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec.structs import replace

from gateway.contract import SENT, BudgetOptions, Event, Outcome, Severity
from gateway.outbox import fallback, memory
from gateway.outbox.append import Addressed
from gateway.outbox.breaker import Memory
from gateway.outbox.memory import SetAside
from gateway.outbox.pick import Wanted
from gateway.outbox.store import Outbox
from gateway.testkit.rigs import event
from gateway.testkit.sending import Bench, Receiver


async def down(outbox: Outbox, destination: str = "crm") -> None:
    """Since long."""
    await outbox.run(lambda c: memory.keep_breaker(c, destination, Memory(9, False, 0, 1, "down")))


async def test_one_that_is_down_itself_takes_nothing_over(bench: Bench) -> None:
    receiver = Receiver()
    receiver.reachable = False
    await bench.append(1, 2)
    await down(bench.outbox)
    async with bench.sending("backup", receiver, fallback_for="crm", fallback_after=1.0):
        await bench.until(lambda: bench.status.links["destination", "backup"].state == "down")
        await bench.until(lambda: bench.clock.monotonic() > 300, tick=10.0)
        assert (await bench.backlog())["ready"] == 2
        receiver.reachable = True
        await bench.until(lambda: len(receiver.got) == 2, tick=1.0)


async def test_one_that_was_not_well_tries_a_single_event_first(bench: Bench) -> None:
    """It has nothing of its own to find out with."""
    receiver = Receiver()
    receiver.answer = lambda e: Outcome.hold("quota", after_seconds=5.0)
    await bench.append(*range(5))
    await down(bench.outbox)
    await bench.outbox.run(lambda c: memory.keep_breaker(c, "backup", Memory(9, True, 0, 1, "quota")))
    async with bench.sending("backup", receiver, fallback_for="crm", fallback_after=1.0):
        await bench.until(lambda: len(receiver.calls) == 3, tick=1.0)
        assert receiver.calls == [[event(0).id]] * 3
        assert (await bench.backlog())["ready"] == 4
        receiver.answer = lambda e: SENT
        await bench.until(lambda: len(receiver.got) == 5, tick=1.0)


async def test_events_of_a_machine_that_is_set_aside_are_taken_over_too_and_in_order(bench: Bench) -> None:
    receiver = Receiver()
    made = await bench.append_of("m1", "m2", "m1")
    urgent = replace(event(9), partitionkey="m1", severity=Severity.CRITICAL)
    await bench.outbox.append([], [Addressed(urgent, ("crm",))])
    await bench.outbox.run(lambda c: memory.set_aside(c, "crm", SetAside("m1", 1, "refused")))
    assert [e.id for e in await bench.outbox.lease("crm", Wanted(10))] == [made[1]]
    await down(bench.outbox)
    async with bench.sending("backup", receiver, fallback_for="crm", fallback_after=1.0):
        await bench.until(lambda: len(receiver.got) == 4, tick=1.0)
    assert receiver.got == [urgent.id, *made], "each in the lane where it belongs"
    assert (await bench.backlog())["moved"] == 4


class TestInDoubt:
    """What the first may have taken stays with it, whatever comes of later attempts."""

    async def test_an_event_without_an_answer_stays_when_the_first_is_refused_then(self, bench: Bench) -> None:
        first = Receiver()
        first.answer = lambda e: Outcome.retry("no answer in time", unknown=True)
        await bench.append(1)
        async with bench.sending("crm", first, has_fallback=True):
            await bench.until(lambda: len(first.calls) == 1)
            await bench.until(lambda: bench.status.links["destination", "crm"].state == "down")
            first.answer = lambda e: Outcome.retry("503")
            await bench.until(lambda: len(first.calls) == 4, tick=1.0)
        await self._backup_gets(bench, [2])

    async def test_an_event_without_an_answer_stays_when_nobody_listens_then(self, bench: Bench) -> None:
        class Hung(Receiver):
            async def send(self, events: Sequence[Event]) -> list[Outcome]:
                self.reachable = False
                raise TimeoutError

        await bench.append(1)
        async with bench.sending("crm", Hung(), has_fallback=True):
            await bench.until(lambda: "refused" in bench.status.links["destination", "crm"].why, tick=1.0)
        await self._backup_gets(bench, [2])

    async def test_what_was_under_way_at_a_reload_or_stop_stays(self, bench: Bench) -> None:
        """Even when nobody knew of a fallback before."""
        first = Receiver()
        first.hangs = True
        await bench.append(1)
        async with bench.sending("crm", first):
            await bench.until(lambda: first.waits == 1)
        first.hangs, first.reachable = False, False
        async with bench.sending("crm", first, has_fallback=True):
            await bench.until(lambda: bench.status.links["destination", "crm"].state == "down", tick=1.0)
        await self._backup_gets(bench, [2])

    async def test_what_waited_for_a_connection_at_a_reload_was_not_tried(self, bench: Bench) -> None:
        class Silent(Receiver):
            async def connect(self) -> None:
                self.waits += 1
                await asyncio.Event().wait()

        first = Silent()
        await bench.append(1)
        async with bench.sending("crm", first, has_fallback=True):
            await bench.until(lambda: first.waits == 1)
        await self._backup_gets(bench, [1])

    async def test_what_a_machines_budget_keeps_back_was_not_tried(self, bench: Bench) -> None:
        first, second = Receiver(), Receiver()
        await bench.append_of(*["m1"] * 5)
        budget = BudgetOptions(per_machine_and_day=2, reserve=0.0)
        async with bench.sending("crm", first, has_fallback=True, budget=budget):
            await bench.until(lambda: len(first.got) == 2)
        await down(bench.outbox)
        async with bench.sending("backup", second, fallback_for="crm", fallback_after=1.0):
            await bench.until(lambda: len(second.got) == 3, tick=1.0)

    async def test_what_waits_for_a_renamed_destination_may_have_been_taken_as_before(self, bench: Bench) -> None:
        first = Receiver()
        first.answer = lambda e: Outcome.retry("no answer in time", unknown=True)
        await bench.append(1, to=("old",))
        async with bench.sending("old", first):
            await bench.until(lambda: bench.status.links["destination", "old"].state == "down")
        assert await bench.outbox.run(lambda c: fallback.move(c, "old", "crm")) == 1
        await self._backup_gets(bench, [2])

    async def _backup_gets(self, bench: Bench, numbers: list[int]) -> None:
        second = Receiver()
        await bench.append(*numbers)
        await down(bench.outbox)
        async with bench.sending("backup", second, fallback_for="crm", fallback_after=1.0):
            await bench.until(lambda: len(second.got) >= len(numbers), tick=1.0)
            await bench.clock.advance(20.0)
        assert second.got == [event(n).id for n in numbers]
