"""Which single event is sent while nothing else is, and what it decides."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from gateway.contract import SENT, Event, NotConnected, Outcome, RetryOptions, Severity
from gateway.outbox import memory, pick
from gateway.outbox.append import Addressed
from gateway.outbox.aside import ASIDE_SECONDS
from gateway.outbox.memory import SetAside
from gateway.testkit.rigs import event
from gateway.testkit.sending import Bench, Receiver


async def test_when_only_machines_set_aside_have_events_theirs_are_the_probes(bench: Bench) -> None:
    receiver = Receiver()
    receiver.answer = lambda e: SENT if e.partitionkey == "m3" else Outcome.retry("500")
    made = await bench.append_of("m1", "m2", "m3", "m1", "m2")
    async with bench.sending("crm", receiver, batch=2) as sender:
        await bench.until(lambda: bench.status.links["destination", "crm"].why == "set aside: m1, m2", tick=1.0)
        receiver.answer = lambda e: Outcome.hold("401", after_seconds=5.0)
        await bench.until(lambda: sender.breaker.holding, tick=10.0)
        receiver.answer = lambda e: Outcome.retry("500")
        tried = len(receiver.calls)
        await bench.until(lambda: len(receiver.calls) >= tried + 4, tick=1.0)
        assert {call[0] for call in receiver.calls[tried:]} == {made[0], made[1]}, "each machine in turn"
        await bench.until(lambda: sender.breaker.wait_seconds() > 0)
        receiver.answer = lambda e: SENT
        await bench.until(lambda: len(receiver.got) == 5, tick=ASIDE_SECONDS / 10)
    for k in range(2):
        assert [i for i in receiver.got if i in made[k::3]] == made[k::3]


async def test_a_probe_that_fails_says_nothing_of_its_machine_and_is_waited_after(bench: Bench) -> None:
    """It is on trial when the receiver goes down for everybody, and no other machine's event waits."""
    receiver, unreachable = Receiver(), []

    def goes_down(e: Event) -> Outcome:
        if e.partitionkey == "m2" or not receiver.got:
            return SENT if e.partitionkey == "m2" else Outcome.retry("500")
        if len(unreachable) < RetryOptions().failures:
            unreachable.append(e.id)
            raise NotConnected("crm.example", "connection reset")
        return Outcome.retry("503")

    receiver.answer = goes_down
    made = await bench.append_of("m1", "m2", "m1")
    async with bench.sending("crm", receiver, batch=1) as sender:
        await bench.until(lambda: len(unreachable) == RetryOptions().failures, tick=1.0)
        tried = len(receiver.calls)
        await bench.until(lambda: len(receiver.calls) >= tried + 3, tick=1.0)
        assert receiver.calls[tried:] == [[made[0]]] * 3
        await bench.until(lambda: sender.breaker.wait_seconds() > 0)
    assert await bench.outbox.run(lambda c: memory.aside(c, "crm")) == []


async def test_the_status_says_who_is_set_aside_also_after_a_restart(bench: Bench) -> None:
    """Nothing else is to be sent: what waits, waits for that."""
    await bench.append_of("m1")
    await bench.outbox.run(lambda c: memory.set_aside(c, "crm", SetAside("m1", bench.clock.now_ns() + int(300e9), "refused")))
    receiver = Receiver()
    async with bench.sending("crm", receiver):
        link = bench.status.links["destination", "crm"]
        await bench.until(lambda: link.state == "up", tick=1.0)
        assert (link.why, receiver.got) == ("set aside: m1", [])
        await bench.until(lambda: len(receiver.got) == 1, tick=10.0)
        await bench.until(lambda: not link.why)


class TestEverythingIsRefusedWithOneCode:
    async def test_and_one_machine_is_all_there_is_another_event_of_it_decides(self, bench: Bench) -> None:
        """Ten events are wrong in the same way; they must not block the hundred that are not."""
        receiver = Receiver()
        receiver.answer = lambda e: Outcome.park("no such field", code="INVALID_FIELD") if "wrong" in e.type else SENT
        made = [replace(event(n), partitionkey="m1", type="io.lineside.x.wrong.v1" if n < 10 else event(n).type) for n in range(40)]
        await bench.outbox.append([], [Addressed(each, ("crm",)) for each in made])
        async with bench.sending("crm", receiver, batch=5):
            await bench.until(lambda: len(receiver.got) == 30, tick=20.0)
        found = await bench.backlog()
        assert (found["parked"], found["delivered"], found["ready"]) == (10, 30, 0)

    async def test_an_incident_is_told_in_order_all_the_same(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pick, "randint", lambda first, last: last)  # chance chooses the newest
        receiver = Receiver()
        receiver.answer = lambda e: Outcome.park("no such field", code="INVALID_FIELD") if not e.correlationid else SENT

        def part(of: int) -> Event:
            return replace(event(50 + of), id=f"inc-7-{of:04d}", correlationid="inc-7", partitionkey="m1")

        wrong = [replace(event(n), partitionkey="m1", correlationid="") for n in range(6)]
        await bench.outbox.append([], [Addressed(each, ("crm",)) for each in (*wrong, part(1), part(2), part(3))])
        async with bench.sending("crm", receiver, batch=5):
            await bench.until(lambda: len(receiver.got) == 3, tick=20.0)
        assert receiver.got == [part(n).id for n in (1, 2, 3)]


async def test_only_what_is_sent_counts_as_tried(bench: Bench) -> None:
    """A probe is one event: what it would take along of its incident is still the fallback's."""
    receiver = Receiver()
    receiver.answer = lambda e: Outcome.hold("401", after_seconds=1.0)
    severities = (Severity.WARNING, Severity.CRITICAL)
    parts = [replace(event(n), id=f"inc-7-{n:04d}", correlationid="inc-7", severity=severity) for n, severity in enumerate(severities, 1)]
    async with bench.sending("crm", receiver, has_fallback=True) as sender:
        await bench.append(50)
        await bench.until(lambda: sender.breaker.holding)
        await bench.outbox.append([], [Addressed(each, ("crm",)) for each in parts])
        receiver.hangs = True
        await bench.until(lambda: bool(sender.breaker.wait_seconds() == 0), tick=0.5)
        await bench.until(lambda: bool(bench.status.links["destination", "crm"].state == "down"))
        tried = await bench.outbox.run(lambda c: c.execute("SELECT seq FROM delivery WHERE tried>0").fetchall())
    assert tried == [(2,)]
