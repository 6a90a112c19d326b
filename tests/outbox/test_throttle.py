"""What a budget lets through, what waits for it, and in which order."""

from __future__ import annotations

import asyncio
import threading

import pytest
from msgspec.structs import replace

from gateway.contract import BudgetOptions, Event, Outcome, Severity, UplinkOptions
from gateway.outbox import memory
from gateway.outbox.append import Addressed
from gateway.outbox.budget import DAY
from gateway.outbox.memory import SetAside
from gateway.outbox.pick import Wanted
from gateway.outbox.summary import Group
from gateway.outbox.throttle import Throttle
from gateway.testkit.rigs import event
from gateway.testkit.sending import Bench, Receiver

FOUR_A_DAY = BudgetOptions(per_machine_and_day=5, reserve=0.2)


def part(number: int, of: int, *, critical: bool = False) -> Event:
    """The `of`-th event of incident `number` of machine m1."""
    incident, severity = f"inc-{number}", Severity.CRITICAL if critical else Severity.WARNING
    return replace(
        event(number),
        id=f"{incident}-{of:04d}",
        correlationid=incident,
        partitionkey="m1",
        severity=severity,
        type="io.lineside.x.updated.v1",
    )


async def store(bench: Bench, *events: Event) -> list[str]:
    await bench.outbox.append([], [Addressed(each, ("crm",)) for each in events])
    return [each.id for each in events]


async def test_a_summary_that_is_made_while_the_clock_leaps_is_as_old_as_what_is_stored_before_it(bench: Bench) -> None:
    """Else it would count as older by the leap than it is, and expire."""
    await bench.append_of("m1", "m1")
    outbox, clock, go, before_ns = bench.outbox, bench.clock, threading.Event(), bench.clock.now_ns()

    def summarise(group: Group) -> Event:
        return replace(event(7), recorded_ns=clock.now_ns())

    throttle = Throttle("crm", outbox, clock, UplinkOptions(), summarise, mark=0)
    busy = asyncio.create_task(outbox.look(lambda _: go.wait(10)))
    await clock.settle()
    rolling = asyncio.create_task(throttle._roll_up(None, "budget"))
    await clock.settle()
    clock.set_wall(before_ns - 30 * 86_400 * 10**9)
    go.set()
    await busy
    await rolling
    (told,) = await outbox.lease("crm", Wanted(10))
    assert told.recorded_ns == before_ns


class TestOfAMachine:
    async def test_as_many_go_as_there_is_room_for(self, bench: Bench) -> None:
        receiver = Receiver()
        made = await bench.append_of(*["m1"] * 6, "m2")
        async with bench.sending("crm", receiver, budget=FOUR_A_DAY):
            await bench.until(lambda: made[6] in receiver.got)
            await bench.until(lambda: bench.clock.monotonic() > DAY / 5 - 1000, tick=600.0)
            assert receiver.got == [*made[:4], made[6]]
            assert (await bench.backlog())["summarised"] == 0, "not before there is room for the summary"
            await bench.until(lambda: len(receiver.got) == 6, tick=10.0)
        assert receiver.got[-1].startswith("sum-m1-2-"), "when the next token is there"

    async def test_critical_events_do_not_wait_for_it_and_take_their_incident_along(self, bench: Bench) -> None:
        receiver = Receiver()
        made = await bench.append_of(*["m1"] * 4)
        opening, worse = part(70, 1), part(70, 2, critical=True)
        async with bench.sending("crm", receiver, budget=FOUR_A_DAY):
            await bench.until(lambda: receiver.got == made)
            await store(bench, opening, *(replace(event(n), partitionkey="m2") for n in (80, 81)))
            await bench.until(lambda: len(receiver.got) == 6)
            await store(bench, replace(event(82), partitionkey="m2"))
            await bench.until(lambda: len(receiver.got) == 7)  # the machine has stepped aside
            assert [row[0] for row in await bench.outbox.run(lambda c: c.execute("SELECT seq FROM delivery WHERE lane=2").fetchall())] == [
                5
            ]
            await store(bench, worse)
            await bench.until(lambda: worse.id in receiver.got)
            assert receiver.got[7:] == [opening.id, worse.id]
            await store(bench, part(70, 3), part(70, 4, critical=True))
            await bench.until(lambda: part(70, 4).id in receiver.got)
        assert receiver.got[7:] == [part(70, n).id for n in (1, 2, 3, 4)]

    async def test_what_a_critical_event_takes_along_is_not_counted(self, bench: Bench) -> None:
        """Both come in the same batch while the day is used up: told in order all the same."""
        receiver = Receiver()
        made = await bench.append_of(*["m1"] * 4)
        async with bench.sending("crm", receiver, budget=FOUR_A_DAY):
            await bench.until(lambda: receiver.got == made)
            await store(bench, part(70, 1), part(70, 2, critical=True))
            await bench.until(lambda: len(receiver.got) >= 6)
        assert receiver.got[4:] == [part(70, 1).id, part(70, 2).id]

    @pytest.mark.parametrize("until_ns", [0, 1 << 62])
    async def test_a_clock_that_was_set_makes_it_wait_a_day_at_most(self, bench: Bench, until_ns: int) -> None:
        receiver = Receiver()
        await bench.outbox.run(lambda c: memory.set_aside(c, "crm", SetAside("m1", until_ns, "budget")))
        made = await bench.append_of("m1")
        async with bench.sending("crm", receiver, budget=FOUR_A_DAY):
            await bench.until(lambda: bench.status.links["destination", "crm"].state == "up")
            await bench.clock.advance(DAY)
            await bench.until(lambda: receiver.got == made, tick=1.0)

    @pytest.mark.parametrize(("budget", "summarised"), [(None, 0), (BudgetOptions(per_machine_and_day=500, reserve=0.2), 2)])
    async def test_a_larger_budget_or_none_lets_it_go_on_at_once(self, bench: Bench, budget: BudgetOptions | None, summarised: int) -> None:
        receiver = Receiver()
        made = await bench.append_of(*["m1"] * 6)
        async with bench.sending("crm", receiver, budget=FOUR_A_DAY) as sender:
            await bench.until(lambda: receiver.got == made[:4])
            await bench.until(lambda: sender.throttle.machines == "budget per_machine_and_day: m1")
        async with bench.sending("crm", receiver, budget=budget):
            await bench.until(lambda: len(receiver.got) == (5 if summarised else 6))
        assert (await bench.backlog())["summarised"] == summarised

    async def test_set_aside_for_another_reason_meanwhile_it_stays_aside(self, bench: Bench) -> None:
        await bench.outbox.run(lambda c: memory.set_aside(c, "crm", SetAside("m1", 0, "budget")))
        await bench.outbox.run(lambda c: memory.set_aside(c, "crm", SetAside("m1", 0, "refused")))
        await bench.outbox.take_back("crm", "m1", "budget")
        assert [entry.why for entry in await bench.outbox.run(lambda c: memory.aside(c, "crm"))] == ["refused"]


class TestWithABacklog:
    async def test_a_look_at_urgent_events_alone_does_not_end_it(self, bench: Bench) -> None:
        """The backlog keeps its pace after a time in which only critical events could go."""
        receiver = Receiver()
        await bench.append(*range(30))
        await bench.clock.advance(3600)
        options = {"backlog_per_second": 0.01, "budget": BudgetOptions(per_hour=2, reserve=0.5)}
        async with bench.sending("crm", receiver, **options) as sender:
            await bench.until(lambda: len(receiver.got) >= 1)
            await bench.until(lambda: bool(sender.throttle.why), tick=1.0)
            await bench.until(lambda: bench.clock.monotonic() > 3600 + 300, tick=5.0)
            assert sender.throttle.draining

    async def test_a_budget_that_is_used_up_is_waited_for_not_the_pace(self, bench: Bench) -> None:
        receiver = Receiver()
        await bench.append(*range(30))
        await bench.clock.advance(3600)
        options = {"backlog_per_second": 50.0, "budget": BudgetOptions(per_hour=2, reserve=0.5)}
        async with bench.sending("crm", receiver, **options) as sender:
            await bench.until(lambda: bool(sender.throttle.why), tick=1.0)
            assert sender.throttle.wait_seconds() > 60


async def test_a_machine_whose_events_are_answered_with_later_is_not_counted(bench: Bench) -> None:
    """What was let through but not taken is still first when there is room."""
    receiver = Receiver()
    receiver.answer = lambda e: Outcome.retry("503")
    made = await bench.append_of(*["m1"] * 6)
    async with bench.sending("crm", receiver, budget=FOUR_A_DAY):
        await bench.until(lambda: len(receiver.calls) >= 1)
        assert receiver.calls[0] == made[:4]
    found = await bench.backlog()
    assert (found["ready"], found["delivered"]) == (6, 0)
