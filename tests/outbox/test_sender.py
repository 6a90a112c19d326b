"""One task per destination: in order, patient, and never in another one's way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest

from gateway.contract import SENT, Event, Outcome, RetryOptions, UplinkOptions
from gateway.outbox.aside import ASIDE_SECONDS
from gateway.outbox.breaker import Breaker
from gateway.outbox.pick import Wanted
from gateway.outbox.sender import Sender
from gateway.testkit.clock import FakeClock
from gateway.testkit.rigs import event
from gateway.testkit.sending import Bench, Receiver, summary_of

OPENS_AFTER = RetryOptions().failures


def ids(*numbers: int) -> list[str]:
    return [event(n).id for n in numbers]


async def test_everything_is_delivered_once_and_in_order(bench: Bench) -> None:
    receiver = Receiver()
    await bench.append(*range(35))
    async with bench.sending("crm", receiver):
        await bench.until(lambda: len(receiver.got) == 35)
        await bench.append(*range(35, 60))
        await bench.until(lambda: len(receiver.got) == 60)
    assert receiver.got == ids(*range(60))
    assert (await bench.backlog())["delivered"] == 60
    assert receiver.open == 0


async def test_what_is_wrong_with_the_way_shows_before_an_event_waits(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lineside")
    receiver = Receiver()
    receiver.reachable = False
    async with bench.sending("crm", receiver) as sender:
        link = bench.status.links["destination", "crm"]
        await bench.until(lambda: link.state == "down")
        assert link.why == "connection refused"
        receiver.reachable = True
        await bench.clock.advance(sender.breaker.wait_seconds())
        await bench.append(1)
        await bench.until(lambda: len(receiver.got) == 1)
    assert [record.getMessage() for record in caplog.records] == ["lost", "back"]


async def test_connected_is_told_before_the_first_event(bench: Bench) -> None:
    receiver = Receiver()
    async with bench.sending("crm", receiver):
        await bench.until(lambda: bench.status.links["destination", "crm"].state == "up")
        assert (receiver.open, receiver.calls) == (1, [])
        await bench.append(1)
        await bench.until(lambda: len(receiver.got) == 1)
        assert receiver.open == 1


async def test_a_receiver_that_hangs_is_named_and_has_no_traceback(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    receiver.hangs = True
    async with bench.sending("crm", receiver, timeout=-1.66) as sender:
        await bench.append(1)
        await bench.until(lambda: bench.status.links["destination", "crm"].state == "down")
        assert sender.breaker.wait_seconds() > 0
    assert [(record.getMessage(), record.exc_info) for record in caplog.records] == [("lost", None)]


async def test_a_refused_event_is_parked_with_its_reason_and_the_others_pass(bench: Bench) -> None:
    receiver = Receiver()
    receiver.answer = lambda e: Outcome.park("422: no such asset") if e.id == event(3).id else SENT
    await bench.append(*range(6))
    async with bench.sending("crm", receiver):
        await bench.until(lambda: len(receiver.got) == 5)
    found = await bench.backlog()
    assert (found["delivered"], found["parked"], found["ready"]) == (5, 1, 0)
    assert bench.counts.total("deliveries", destination="crm", outcome="park") == 1


async def test_parked_events_are_told_at_once_and_then_once_a_minute(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    receiver.answer = lambda e: Outcome.park("422: no such asset")
    async with bench.sending("crm", receiver):
        for n, pause in ((0, 0.0), (1, 1.0), (2, 60.0)):
            await bench.clock.advance(pause)
            await bench.append(n)
            await bench.until(lambda n=n: bench.counts.total("deliveries", destination="crm", outcome="park") == n + 1)
    told = [record.fields for record in caplog.records if record.getMessage() == "parked"]
    assert told == [{"destination": "crm", "events": count, "why": "422: no such asset"} for count in (1, 2)]


async def test_retry_waits_at_least_as_long_as_told_and_then_goes_on_in_order(bench: Bench) -> None:
    receiver, times = Receiver(), []

    def busy(e: Event) -> Outcome:
        times.append(bench.clock.monotonic())
        return Outcome.retry("429", after_seconds=7.0) if len(times) <= 3 else SENT

    receiver.answer = busy
    await bench.append(1, 2, 3)
    async with bench.sending("crm", receiver):
        await bench.until(lambda: len(receiver.got) == 3, tick=0.5)
    assert receiver.got == ids(1, 2, 3)
    assert times[3] - times[0] >= 7.0
    assert bench.counts.total("deliveries", outcome="retry") == 3


async def test_five_failures_open_the_breaker_and_one_event_probes_it(bench: Bench) -> None:
    receiver = Receiver()
    receiver.answer = lambda e: Outcome.retry("503")
    await bench.append(*range(8))
    async with bench.sending("crm", receiver) as sender:
        await bench.until(lambda: len(receiver.calls) == OPENS_AFTER, tick=0.5)
        await bench.until(lambda: sender.breaker.state == "open")
        receiver.answer = lambda e: SENT
        await bench.until(lambda: len(receiver.got) == 8, tick=0.5)
        assert sender.breaker.state == "closed"
    assert [len(call) for call in receiver.calls] == [8] * OPENS_AFTER + [1, 7]


async def test_hold_pauses_for_a_minute_unless_told_otherwise(bench: Bench) -> None:
    receiver, times = Receiver(), []

    def refused(e: Event) -> Outcome:
        times.append(bench.clock.monotonic())
        return Outcome.hold("401: bad token") if len(times) == 1 else SENT

    receiver.answer = refused
    await bench.append(1)
    async with bench.sending("crm", receiver):
        await bench.until(lambda: len(receiver.got) == 1, tick=1.0)
    assert times[1] - times[0] >= 60.0


async def test_a_dead_and_a_hung_destination_never_delay_another(bench: Bench) -> None:
    dead, hung, fine = Receiver(), Receiver(), Receiver()
    dead.reachable, hung.hangs = False, True
    async with bench.sending("dead", dead), bench.sending("hung", hung), bench.sending("crm", fine):
        for n in range(20):
            await bench.append(n, to=("dead", "hung", "crm"))
            await bench.until(lambda n=n: fine.got == ids(*range(n + 1)))
    assert (await bench.backlog("dead"))["ready"] == 20
    assert (await bench.backlog("hung"))["ready"] == 20


async def test_lost_and_back_are_told_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lineside")
    receiver = Receiver()
    receiver.answer = lambda e: Outcome.retry("503")
    await bench.append(1)
    async with bench.sending("crm", receiver):
        await bench.until(lambda: len(receiver.calls) >= 3, tick=0.5)
        receiver.reachable = False
        await bench.until(lambda: len(receiver.calls) >= 4, tick=0.5)
        receiver.answer, receiver.reachable = lambda e: SENT, True
        await bench.until(lambda: len(receiver.got) == 1, tick=0.5)
        await bench.until(lambda: len(caplog.records) >= 2)
    assert [record.getMessage() for record in caplog.records] == ["lost", "back"]


async def test_an_outcome_that_was_not_written_down_means_the_same_id_again(bench: Bench) -> None:
    """Killed between the receiver's answer and the commit: a repeat, never another id, never a gap."""
    receiver = Receiver()
    await bench.append(1, 2)
    first = await bench.outbox.lease("crm", Wanted(10))
    await receiver.send(first)
    async with bench.sending("crm", receiver):
        await bench.until(lambda: len(receiver.got) == 4)
    assert receiver.got == ids(1, 2, 1, 2)
    assert (await bench.backlog())["delivered"] == 2


async def test_the_last_send_empties_what_can_be_sent_and_gives_up_in_time(bench: Bench) -> None:
    fine, hung = Receiver(), Receiver()
    async with bench.sending("crm", fine) as sender:
        await bench.until(lambda: fine.open == 0)
    await bench.append(1, 2, to=("crm", "hung"))
    await sender.drain(2.0)
    assert fine.got == ids(1, 2)
    assert (await bench.backlog())["ready"] == 0
    hung.hangs = True
    async with bench.sending("hung", hung) as stuck:
        pass
    await asyncio.wait_for(stuck.drain(0.05), 2.0)
    assert (await bench.backlog("hung"))["ready"] == 2


async def test_an_uplink_that_answers_for_too_few_is_a_bug_and_nothing_is_lost(bench: Bench) -> None:
    class Wrong(Receiver):
        async def send(self, events: Sequence[Event]) -> list[Outcome]:
            return []

    await bench.append(1)
    sender = Sender(
        "crm",
        Wrong,
        bench.outbox,
        link=bench.status.add("destination", "crm"),
        status=bench.status,
        counts=bench.counts,
        clock=bench.clock,
        options=UplinkOptions(batch=10),
        summarise=summary_of,
        loading=bench.loading,
    )
    with pytest.raises(RuntimeError, match="0 outcomes for 1 events"):
        await sender.run()
    assert (await bench.backlog())["ready"] == 1


class TestAMachineTheReceiverCannotTake:
    """It fails for ever with an answer that says "later"; the others must not wait for it."""

    def refuse(self, *machines: str) -> Receiver:
        receiver = Receiver()
        receiver.answer = lambda e: Outcome.retry("500") if e.partitionkey in machines else SENT
        return receiver

    def all_or_none(self, receiver: Receiver) -> None:
        """One request for a batch: one that fails fails all."""
        send, answer = receiver.send, receiver.answer

        async def together(events: Sequence[Event]) -> list[Outcome]:
            worst = next((outcome for e in events if (outcome := answer(e)) != SENT), SENT)
            receiver.answer = lambda e: worst
            return await send(events)

        receiver.send = together  # type: ignore[method-assign]

    @pytest.mark.parametrize("whole", [False, True])
    async def test_is_set_aside_and_the_others_pass_in_order(self, bench: Bench, whole: bool, caplog: pytest.LogCaptureFixture) -> None:
        receiver = self.refuse("m1")
        if whole:
            self.all_or_none(receiver)
        made = await bench.append_of("m1", "m2", "m1", "m3", "m2")
        async with bench.sending("crm", receiver, batch=2):
            await bench.until(lambda: len(receiver.got) == 3, tick=1.0)
            assert receiver.got == [made[1], made[3], made[4]]
            made += await bench.append_of("m1", "m2", "m3", first=5)
            await bench.until(lambda: len(receiver.got) == 5, tick=0.1)
            link = bench.status.links["destination", "crm"]
            assert (link.state, link.why) == ("up", "set aside: m1")
        assert receiver.got[3:] == made[6:]
        found = await bench.backlog()
        assert (found["delivered"], found["ready"], found["parked"]) == (5, 3, 0)
        told = [record.fields for record in caplog.records if record.getMessage() == "set aside"]
        assert told == [{"destination": "crm", "machine": "m1", "why": "500", "retry_seconds": ASIDE_SECONDS}]

    async def test_is_tried_again_after_a_while_with_its_oldest_and_told_once(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "lineside")
        receiver = self.refuse("m1")
        made = await bench.append_of("m1", "m1", "m2", "m1")
        async with bench.sending("crm", receiver, batch=2):
            await bench.until(lambda: len(receiver.got) == 1, tick=1.0)
            await bench.until(lambda: bench.status.links["destination", "crm"].why == "set aside: m1")
            tried = len(receiver.calls)
            await bench.clock.advance(ASIDE_SECONDS)
            await bench.until(lambda: len(receiver.calls) > tried, tick=5.0)
            made += await bench.append_of("m2", first=4)
            await bench.until(lambda: len(receiver.got) == 2)
            assert receiver.calls[tried:] == [[made[0]], [made[4]]]
            receiver.answer = lambda e: SENT
            tried = len(receiver.calls)
            await bench.clock.advance(ASIDE_SECONDS)
            await bench.until(lambda: len(receiver.got) == 5, tick=5.0)
            made += await bench.append_of("m2", first=5)
            await bench.until(lambda: len(receiver.got) == 6)
            assert receiver.calls[tried:] == [[made[0]], [made[1], made[3]], [made[5]]]
            assert bench.status.links["destination", "crm"].why == ""
        assert [r.getMessage() for r in caplog.records if r.getMessage() in ("set aside", "taken up again")] == [
            "set aside",
            "taken up again",
        ]
        assert (await bench.backlog())["delivered"] == 6

    async def test_two_of_them_leave_the_third_alone(self, bench: Bench) -> None:
        receiver = self.refuse("m1", "m2")
        made = await bench.append_of("m1", "m2", "m1", "m3", "m3")
        async with bench.sending("crm", receiver, batch=2):
            await bench.until(lambda: len(receiver.got) == 2, tick=1.0)
            await bench.until(lambda: bench.status.links["destination", "crm"].why == "set aside: m1, m2")
        assert receiver.got == made[3:]

    async def test_a_receiver_that_was_down_for_everybody_sets_nobody_aside(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        receiver = self.refuse("m1", "m2", "m3")
        made = await bench.append_of("m1", "m2", "m3", "m1", "m2", "m3")
        async with bench.sending("crm", receiver):
            await bench.until(lambda: [made[1]] in receiver.calls, tick=1.0)
            receiver.answer = lambda e: SENT
            await bench.until(lambda: len(receiver.got) == 6, tick=1.0)
        for k in range(3):
            assert [identity for identity in receiver.got if identity in made[k::3]] == made[k::3]
        assert "set aside" not in [record.getMessage() for record in caplog.records]

    async def test_without_another_machine_the_oldest_is_tried_again_and_again(self, bench: Bench) -> None:
        receiver = self.refuse("m1")
        made = await bench.append_of("m1", "m1")
        async with bench.sending("crm", receiver):
            await bench.until(lambda: len(receiver.calls) == OPENS_AFTER + 3, tick=1.0)
            receiver.answer = lambda e: SENT
            await bench.until(lambda: len(receiver.got) == 2, tick=1.0)
        assert receiver.calls[OPENS_AFTER : OPENS_AFTER + 3] == [[made[0]]] * 3
        assert receiver.got == made


class TestBreaker:
    def test_waits_grow_and_stay_within_a_minute(self) -> None:
        breaker = Breaker(FakeClock())
        waits = [breaker.failed() for _ in range(12)]
        assert all(0 <= wait <= 0.5 * 2**n for n, wait in enumerate(waits[:7]))
        assert max(waits) <= 60.0

    async def test_closed_open_half_open_closed(self) -> None:
        clock = FakeClock()
        breaker = Breaker(clock)
        for _ in range(OPENS_AFTER - 1):
            breaker.failed()
        assert breaker.state == "closed"
        wait = breaker.failed()
        assert breaker.state == "open"
        await clock.advance(wait)
        assert breaker.state == "half-open"
        breaker.succeeded()
        assert breaker.state == "closed"
        assert breaker.wait_seconds() == 0.0
