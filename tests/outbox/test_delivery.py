"""What goes first, what waits, what is given to whom: lanes, pace, budget, drift, fallback, and all of it over a restart."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from gateway.contract import SENT, BudgetOptions, Event, NotConnected, Outcome, RetryOptions, Severity, Usage
from gateway.outbox.append import Addressed
from gateway.outbox.drift import ACQUITTED_SECONDS, IN_A_ROW
from gateway.outbox.pick import Wanted
from gateway.testkit.rigs import event
from gateway.testkit.sending import Bench, Receiver


def part(number: int, of: int, *, severity: Severity = Severity.WARNING, machine: str = "m1", type_: str = "updated") -> Event:
    """The `of`-th event of incident `number`."""
    incident = f"inc-{number}"
    return replace(
        event(number),
        id=f"{incident}-{of:04d}",
        correlationid=incident,
        partitionkey=machine,
        severity=severity,
        type=f"io.lineside.limit.{type_}.v1",
    )


async def store(bench: Bench, *events: Event, to: tuple[str, ...] = ("crm",)) -> list[str]:
    await bench.outbox.append([], [Addressed(each, to) for each in events])
    return [each.id for each in events]


class TestUrgent:
    async def test_a_critical_event_overtakes_ten_thousand_that_wait(self, bench: Bench) -> None:
        infos = [replace(event(n), severity=Severity.INFO) for n in range(10_000)]
        for start in range(0, len(infos), 500):
            await store(bench, *infos[start : start + 500])
        (urgent,) = await store(bench, replace(event(99_999), severity=Severity.CRITICAL))
        receiver = Receiver()
        async with bench.sending("crm", receiver, batch=50):
            await bench.until(lambda: len(receiver.got) >= 200)
        assert receiver.got[0] == urgent
        assert receiver.got[1:200] == [each.id for each in infos[:199]]

    async def test_it_takes_what_waits_of_its_own_incident_along(self, bench: Bench) -> None:
        others = [replace(event(n), partitionkey="m1") for n in range(5)]
        raised, worse = part(7, 1, type_="raised"), part(7, 2, severity=Severity.CRITICAL)
        await store(bench, *others[:3], raised, *others[3:], worse)
        events = await bench.outbox.lease("crm", Wanted(4))
        assert [e.id for e in events] == [raised.id, worse.id, others[0].id, others[1].id]

    async def test_one_that_comes_while_a_backlog_drains_does_not_wait_for_it(self, bench: Bench) -> None:
        receiver = Receiver()
        await bench.append(*range(300))
        urgent = replace(event(9999), severity=Severity.CRITICAL)

        async def first_calls(events: Sequence[Event]) -> list[Outcome]:
            if len(receiver.calls) == 2:
                await store(bench, urgent)
            return await original(events)

        original, receiver.send = receiver.send, first_calls  # type: ignore[method-assign]
        async with bench.sending("crm", receiver):
            await bench.until(lambda: urgent.id in receiver.got)
            assert receiver.got.index(urgent.id) <= 50


class TestPace:
    async def test_new_events_go_first_and_the_backlog_at_its_rate(self, bench: Bench) -> None:
        receiver = Receiver()
        await bench.append(*range(100))
        await bench.clock.advance(3600)
        async with bench.sending("crm", receiver, backlog_per_second=2.0):
            await bench.until(lambda: len(receiver.got) >= 2)
            await bench.append(1000, 1001)
            await bench.until(lambda: event(1001).id in receiver.got)
            before = len(receiver.got)
            assert before < 10
            await bench.until(lambda: len(receiver.got) >= before + 20, tick=0.25)
            seconds = 20 / 2.0
            assert len(receiver.got) <= before + 2 * seconds + 4
            await bench.until(lambda: len(receiver.got) == 102, tick=1.0)
        assert receiver.got[0] == event(0).id
        assert [i for i in receiver.got if i not in (event(1000).id, event(1001).id)] == [event(n).id for n in range(100)]

    async def test_an_incident_is_never_told_out_of_order(self, bench: Bench) -> None:
        receiver = Receiver()
        await bench.append(*range(20))
        await store(bench, part(7, 1, type_="raised"), part(7, 2))
        await bench.clock.advance(3600)
        async with bench.sending("crm", receiver, backlog_per_second=0.01):
            await bench.until(lambda: len(receiver.got) >= 1)
            await store(bench, part(7, 3, type_="cleared"))
            await bench.until(lambda: part(7, 3).id in receiver.got)
        assert [i for i in receiver.got if i.startswith("inc-7")] == [part(7, n).id for n in (1, 2, 3)]

    async def test_without_a_rate_everything_goes_in_order(self, bench: Bench) -> None:
        receiver = Receiver()
        await bench.append(*range(30))
        await bench.clock.advance(3600)
        await bench.append(30)
        async with bench.sending("crm", receiver):
            await bench.until(lambda: len(receiver.got) == 31)
        assert receiver.got == [event(n).id for n in range(31)]


class TestLinger:
    async def test_a_batch_waits_for_more_but_a_critical_event_does_not(self, bench: Bench) -> None:
        receiver = Receiver()
        async with bench.sending("crm", receiver, linger=0.3):
            await bench.until(lambda: receiver.open == 1)
            await bench.append(1)
            await bench.append(2)
            await bench.append(3)
            await bench.clock.advance(0.3)
            await bench.until(lambda: len(receiver.got) == 3, tick=0.1)
            await store(bench, replace(event(4), severity=Severity.CRITICAL))
            await bench.until(lambda: len(receiver.got) == 4)
        assert [len(call) for call in receiver.calls] == [3, 1]


class TestMaxAge:
    async def test_what_is_too_old_is_kept_as_expired(self, bench: Bench) -> None:
        receiver = Receiver()
        old = [replace(event(n), recorded_ns=bench.clock.now_ns()) for n in range(3)]
        await store(bench, *old)
        await bench.clock.advance(7200)
        new = replace(event(9), recorded_ns=bench.clock.now_ns())
        await store(bench, new)
        async with bench.sending("crm", receiver, max_age=3600.0):
            await bench.until(lambda: len(receiver.got) == 1)
        assert receiver.got == [new.id]
        found = await bench.backlog()
        assert (found["expired"], found["ready"], found["delivered"]) == (3, 0, 1)


class TestBudget:
    async def test_over_it_events_become_one_summary_per_machine(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        receiver = Receiver()
        budget = BudgetOptions(per_hour=10, reserve=0.2)
        made = await bench.append_of(*["m1", "m2"] * 10)
        async with bench.sending("crm", receiver, budget=budget):
            await bench.until(lambda: len(receiver.got) == 8)
            await bench.append_of("m1", first=50)
            assert receiver.got == made[:8]
            await bench.until(lambda: len(receiver.got) == 10, tick=60.0)
        assert receiver.got[8:] == ["sum-m1-7-21", "sum-m2-6-20"]
        assert (await bench.backlog())["summarised"] == 13
        assert [r.getMessage() for r in caplog.records] == ["budget used up", "summarised"], "told once, not at each token"

    async def test_critical_events_may_use_the_reserve(self, bench: Bench) -> None:
        receiver = Receiver()
        await bench.append(*range(20))
        async with bench.sending("crm", receiver, budget=BudgetOptions(per_hour=10, reserve=0.2)):
            await bench.until(lambda: len(receiver.got) == 8)
            made = await store(bench, *(replace(event(n), severity=Severity.CRITICAL) for n in (91, 92, 93)))
            await bench.until(lambda: len(receiver.got) == 10)
        assert receiver.got[8:] == made[:2]

    async def test_it_is_remembered_over_a_restart(self, bench: Bench) -> None:
        first, second = Receiver(), Receiver()
        budget = BudgetOptions(per_day=10, reserve=0.0)
        await bench.append(*range(20))
        async with bench.sending("crm", first, budget=budget):
            await bench.until(lambda: len(first.got) == 10)
            await bench.until(lambda: bench.outbox.commits > 0)
        async with bench.sending("crm", second, budget=budget) as sender:
            await bench.until(lambda: bool(sender.throttle.why))
        assert second.got == []

    async def test_a_machine_that_used_up_its_day_waits_alone(self, bench: Bench) -> None:
        receiver = Receiver()
        made = await bench.append_of(*["m1"] * 6, "m2", "m2")
        async with bench.sending("crm", receiver, budget=BudgetOptions(per_machine_and_day=3, reserve=0.0), batch=2):
            await bench.until(lambda: {made[6], made[7]} <= set(receiver.got), tick=0.1)
            assert [i for i in receiver.got if i in made[:6]] == made[:3], "as many as there is room for"
            await bench.until(lambda: len(receiver.got) >= 6, tick=600.0)
        assert receiver.got[-1] == "sum-m1-3-6"

    async def test_the_receivers_own_allowance_is_kept_to_the_reserve(self, bench: Bench) -> None:
        receiver = Receiver()
        async with bench.sending("crm", receiver) as sender:
            await bench.append(1)
            await bench.until(lambda: len(receiver.got) == 1)
            sender.throttle.told(Usage(85_000, 100_000))
            await bench.append(2, 3)
            (urgent,) = await store(bench, replace(event(4), severity=Severity.CRITICAL))
            await bench.until(lambda: urgent in receiver.got)
            assert len(receiver.got) == 2
            assert "85000 of 100000" in sender.throttle.why
            sender.throttle.told(Usage(10, 100_000))
            await bench.append(5)
            await bench.until(lambda: len(receiver.got) >= 3)


class TestDrift:
    """The receiver changed, not the events."""

    async def test_a_whole_batch_refused_with_one_code_is_held_not_parked(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        receiver = Receiver()
        receiver.answer = lambda e: Outcome.park("no column Score__c", code="INVALID_FIELD Score__c")
        await bench.append_of("m1", "m2", "m3", "m1", "m2")
        async with bench.sending("crm", receiver) as sender:
            await bench.until(lambda: len(receiver.calls) >= 4, tick=20.0)
            found = await bench.backlog()
            assert (found["parked"], found["ready"]) == (0, 5)
            assert sender.breaker.state != "closed"
            assert len({call[0] for call in receiver.calls[1:4]}) == 3, "single probes of several machines"
            receiver.answer = lambda e: SENT
            await bench.until(lambda: len(receiver.got) == 5, tick=20.0)
        assert (await bench.backlog())["parked"] == 0

    async def test_events_that_are_wrong_are_parked_once_another_one_passed(self, bench: Bench) -> None:
        receiver = Receiver()
        receiver.answer = lambda e: Outcome.park("too long", code="STRING_TOO_LONG") if e.partitionkey == "m1" else SENT
        await bench.append_of(*["m1"] * 6, "m2", "m1", "m1")
        async with bench.sending("crm", receiver, batch=4):
            await bench.until(lambda: len(receiver.got) == 1, tick=20.0)
            for _ in range(50):
                await bench.clock.advance(20.0)
                if (await bench.backlog())["ready"] == 0:
                    break
        found = await bench.backlog()
        assert (found["parked"], found["delivered"], found["ready"]) == (8, 1, 0)
        assert ACQUITTED_SECONDS >= 60

    async def test_different_codes_are_parked_at_once(self, bench: Bench) -> None:
        receiver = Receiver()
        receiver.answer = lambda e: Outcome.park("no", code=f"CODE_{e.id[-1]}")
        await bench.append(*range(IN_A_ROW + 3))
        async with bench.sending("crm", receiver):
            await bench.until(lambda: bench.counts.total("deliveries", outcome="park") == IN_A_ROW + 3)


class TestFallback:
    async def test_takes_over_after_a_while_and_nothing_is_doubled_when_the_first_comes_back(self, bench: Bench) -> None:
        first, second = Receiver(), Receiver()
        first.reachable = False
        await bench.append(*range(10))
        async with (
            bench.sending("crm", first, has_fallback=True),
            bench.sending("backup", second, fallback_for="crm", fallback_after=600.0),
        ):
            await bench.until(lambda: bench.status.links["destination", "crm"].state == "down")
            await bench.clock.advance(500)
            await bench.append(10)
            assert second.got == []
            await bench.clock.advance(200)
            await bench.append(11)
            await bench.until(lambda: len(second.got) == 12, tick=1.0)
            first.reachable = True
            await bench.until(lambda: bench.status.links["destination", "crm"].state == "up", tick=5.0)
            await bench.append(12)
            await bench.until(lambda: len(first.got) == 1, tick=1.0)
        assert first.got == [event(12).id]
        assert sorted(second.got) == [event(n).id for n in range(12)]
        crm, backup = await bench.backlog(), await bench.backlog("backup")
        assert (crm["moved"], crm["delivered"], crm["ready"]) == (12, 1, 0)
        assert (backup["stored"], backup["delivered"]) == (12, 12)

    async def test_what_the_first_may_have_taken_stays_with_it(self, bench: Bench) -> None:
        first, second = Receiver(), Receiver()
        first.answer = lambda e: Outcome.retry("no answer in time", unknown=True)
        await bench.append(1, 2)
        async with bench.sending("crm", first, has_fallback=True):
            await bench.until(lambda: bench.status.links["destination", "crm"].state == "down")
            await bench.append(3)
        async with bench.sending("backup", second, fallback_for="crm", fallback_after=1.0):
            await bench.until(lambda: len(second.got) == 1, tick=1.0)
        assert second.got == [event(3).id]
        assert (await bench.backlog())["ready"] == 2

    async def test_killed_in_the_middle_of_a_send_counts_as_may_have_taken(self, bench: Bench) -> None:
        await bench.append(1, 2)
        await bench.outbox.lease("crm", Wanted(1, mark=True))  # sent, and the process dies here
        tried = await bench.outbox.run(lambda c: c.execute("SELECT seq FROM delivery WHERE tried=1").fetchall())
        assert tried == [(1,)]

    async def test_not_connected_means_not_taken(self, bench: Bench) -> None:
        class Cut(Receiver):
            async def send(self, events: Sequence[Event]) -> list[Outcome]:
                self.calls.append([event.id for event in events])
                raise NotConnected("crm.example", "connection reset")

        receiver = Cut()
        await bench.append(1, 2)
        async with bench.sending("crm", receiver, has_fallback=True):
            await bench.until(lambda: bench.status.links["destination", "crm"].state == "down")
        assert await bench.outbox.run(lambda c: c.execute("SELECT count(*) FROM delivery WHERE tried=1").fetchone()) == (0,)


class TestAfterARestart:
    async def test_the_breaker_is_still_open(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "lineside")
        first, second = Receiver(), Receiver()
        first.answer = lambda e: Outcome.hold("401: bad token", after_seconds=900.0)
        await bench.append(1)
        async with bench.sending("crm", first) as sender:
            await bench.until(lambda: sender.breaker.state == "open")
        async with bench.sending("crm", second) as sender:
            await bench.until(lambda: bench.status.links["destination", "crm"].state == "down")
            assert sender.breaker.state == "open"
            assert 800 < sender.breaker.wait_seconds() <= 900
            await bench.clock.advance(500)
            assert second.calls == []
            await bench.until(lambda: bench.status.links["destination", "crm"].state == "up", tick=50.0)
            assert bench.status.links["destination", "crm"].why == ""
        assert len(second.got) == 1

    async def test_a_clock_that_was_set_does_not_make_it_wait_for_ever(self, bench: Bench) -> None:
        first, second = Receiver(), Receiver()
        first.answer = lambda e: Outcome.retry("503")
        await bench.append(1)
        async with bench.sending("crm", first, retry=RetryOptions(longest="10s")):
            await bench.until(lambda: len(first.calls) == 2, tick=1.0)
        bench.clock.set_wall(bench.clock.now_ns() - 30 * 86_400 * 10**9)
        async with bench.sending("crm", second, retry=RetryOptions(longest="10s")):
            await bench.until(lambda: len(second.got) == 1, tick=1.0)

    async def test_a_machine_is_still_set_aside(self, bench: Bench) -> None:
        first, second = Receiver(), Receiver()
        first.answer = lambda e: Outcome.retry("500") if e.partitionkey == "m1" else SENT
        await bench.append_of("m1", "m2", "m1", "m2", "m2")
        async with bench.sending("crm", first, batch=2):
            await bench.until(lambda: bench.status.links["destination", "crm"].why == "set aside: m1", tick=1.0)
        made = await bench.append_of("m1", "m2", first=10)
        async with bench.sending("crm", second):
            await bench.until(lambda: made[1] in second.got)
            assert made[0] not in second.got
            await bench.until(lambda: made[0] in second.got, tick=60.0)
