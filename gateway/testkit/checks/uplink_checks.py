"""The battery every uplink goes through."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from gateway.contract import Event, NotConnected, Outcome, OutcomeKind, Uplink
from gateway.testkit.checks.peers import CONNECT_SECONDS, opened, running
from gateway.testkit.checks.watch import Left, in_time, io_done, raised
from gateway.testkit.rigs import LARGE_BYTES, POISON_BYTES, UplinkRig, event

TIMEOUT_SECONDS, MARGIN_SECONDS = 1.0, 1.0
_TAKEN = {OutcomeKind.SENT, OutcomeKind.DUPLICATE}


def connected(rig: UplinkRig) -> AbstractAsyncContextManager[Uplink]:
    """An uplink to the running receiver."""
    return opened(rig.uplink())


def numbered(first: int, last: int) -> list[Event]:
    """Events `first` up to and with `last`."""
    return [event(number) for number in range(first, last + 1)]


async def send(uplink: Uplink, events: Sequence[Event]) -> list[Outcome]:
    """Outcomes, one per event, or it is an error."""
    outcomes = await in_time(uplink.send(events), TIMEOUT_SECONDS + MARGIN_SECONDS, "send")
    assert len(outcomes) == len(events), f"{len(outcomes)} outcomes for {len(events)} events"
    return outcomes


async def deliver(uplink: Uplink, events: Sequence[Event]) -> None:
    """Send what must be taken."""
    for sent, outcome in zip(events, await send(uplink, events), strict=True):
        assert outcome.kind in _TAKEN, f"{sent.id}: {outcome}"


async def has(rig: UplinkRig, events: Sequence[Event]) -> None:
    """The receiver holds exactly these, each once."""
    got, wanted = await rig.received(), {e.id for e in events}
    assert len(got) == len(set(got)), "the receiver holds an event twice"
    assert set(got) == wanted, f"missing {sorted(wanted - set(got))[:5]}, not sent {sorted(set(got) - wanted)[:5]}"


async def constructor_does_no_io(rig: UplinkRig) -> None:
    rig.uplink()  # late imports are done now
    left = Left()
    with io_done() as done:
        rig.uplink()
    assert not done, f"the constructor does I/O: {done}"
    assert not left.over(), f"the constructor leaves {left.over()}"


async def every_event_has_its_outcome_in_order(rig: UplinkRig) -> None:
    events = numbered(1, 300)
    async with running(rig), connected(rig) as uplink:
        outcomes = await send(uplink, events[:5])
        assert [o.kind for o in outcomes] == [OutcomeKind.SENT] * 5, f"{outcomes}"
        assert await rig.received() == [e.id for e in events[:5]], "they did not arrive in order"
        await deliver(uplink, events[5:])
        await has(rig, events)


async def event_sent_twice_is_held_once(rig: UplinkRig) -> None:
    """By another connection too: the first may have died before the acknowledgement came."""
    events = numbered(1, 20)
    async with running(rig):
        async with connected(rig) as uplink:
            await deliver(uplink, events)
            await deliver(uplink, events[5:])
        async with connected(rig) as uplink:
            await deliver(uplink, events)
        await has(rig, events)


async def poison_is_parked_alone(rig: UplinkRig) -> None:
    events = numbered(1, 9)
    events[4] = event(5, data=b'{"n":"' + b"x" * POISON_BYTES + b'"}')
    async with running(rig), connected(rig) as uplink:
        await rig.poison(events[4].id)
        outcomes = await send(uplink, events)
        assert outcomes[4].kind is OutcomeKind.PARK, f"the poison: {outcomes[4]}"
        assert outcomes[4].reason, "parked without a reason"
        neighbours = [*events[:4], *events[5:]]
        for sent, outcome in zip(neighbours, [*outcomes[:4], *outcomes[5:]], strict=True):
            assert outcome.kind in _TAKEN, f"{sent.id}, a neighbour of the poison: {outcome}"
        await has(rig, neighbours)


async def hung_receiver_is_retry_in_time(rig: UplinkRig) -> None:
    events = numbered(1, 10)
    async with running(rig), connected(rig) as uplink:
        await deliver(uplink, events[:2])
        await rig.hang()
        try:
            outcomes = await send(uplink, events[2:])
        finally:
            await rig.resume()
        assert {o.kind for o in outcomes} == {OutcomeKind.RETRY}, f"{outcomes}"
        assert all(o.reason for o in outcomes), "a retry without a reason"
        async with connected(rig) as fresh:
            await deliver(fresh, events)
        await has(rig, events)


async def receiver_hung_at_connect_is_found_in_time(rig: UplinkRig) -> None:
    """NotConnected from `connect`, or, where connecting needs no answer, RETRY from `send`."""
    async with running(rig):
        await rig.hang()
        uplink = rig.uplink()
        try:
            await in_time(uplink.connect(), CONNECT_SECONDS, "connect")
            outcomes = await send(uplink, numbered(1, 2))
            assert {o.kind for o in outcomes} == {OutcomeKind.RETRY}, f"{outcomes}"
        except NotConnected:
            pass
        finally:
            await in_time(uplink.close(), CONNECT_SECONDS, "close")
            await rig.resume()


async def dead_receiver_is_not_connected_within_ten_seconds(rig: UplinkRig) -> None:
    """From `connect`, or, where connecting opens nothing yet, from `send`."""
    uplink = rig.dead_uplink()
    left = Left()
    try:
        error = await raised(NotConnected, _connect_and_send(uplink), CONNECT_SECONDS)
        assert error.peer, "NotConnected names no peer"
        assert error.why, "NotConnected does not say why"
    finally:
        await in_time(uplink.close(), CONNECT_SECONDS, "close")
    await left.nothing()


async def _connect_and_send(uplink: Uplink) -> list[Outcome]:
    await uplink.connect()
    return await uplink.send([event(1)])


async def receiver_killed_between_sends_loses_nothing(rig: UplinkRig) -> None:
    events = numbered(1, 30)
    async with running(rig):
        async with connected(rig) as uplink:
            await deliver(uplink, events[:10])
            await rig.stop()
            for _ in range(2):
                await _not_now(uplink, events[10:20])
        await rig.start()
        async with connected(rig) as uplink:
            await deliver(uplink, events[5:])
        await has(rig, events)


async def _not_now(uplink: Uplink, events: Sequence[Event]) -> None:
    try:
        outcomes = await send(uplink, events)
    except NotConnected:
        return
    assert {o.kind for o in outcomes} == {OutcomeKind.RETRY}, f"the receiver is dead: {outcomes}"


async def receiver_killed_during_a_send_loses_nothing(rig: UplinkRig) -> None:
    """What was told SENT is there after the restart; what was not is sent again and is there once."""
    events = numbered(1, 400)
    async with running(rig):
        async with connected(rig) as uplink:
            sending = asyncio.create_task(_outcomes(uplink, events))
            await asyncio.sleep(0.002)
            await rig.stop()
            outcomes = await in_time(sending, CONNECT_SECONDS, "send to a killed receiver")
        told = {e.id for e, o in zip(events, outcomes, strict=True) if o.kind in _TAKEN}
        assert {o.kind for o in outcomes} <= {*_TAKEN, OutcomeKind.RETRY}, "killed is no reason to park or hold"
        await rig.start()
        assert told <= set(await rig.received()), "told SENT, and not there after the restart"
        async with connected(rig) as uplink:
            for start in range(0, len(events), 100):
                await deliver(uplink, events[start : start + 100])
        await has(rig, events)


async def _outcomes(uplink: Uplink, events: Sequence[Event]) -> list[Outcome]:
    try:
        return await uplink.send(events)
    except NotConnected as exc:
        return [Outcome.retry(exc.why)] * len(events)


async def nothing_to_send_is_fine(rig: UplinkRig) -> None:
    async with running(rig), connected(rig) as uplink:
        assert await send(uplink, []) == []


async def large_event_is_delivered(rig: UplinkRig) -> None:
    events = [event(1), event(2, data=b'{"spectrum":"' + b"7" * LARGE_BYTES + b'"}'), event(3)]
    async with running(rig), connected(rig) as uplink:
        await deliver(uplink, events)
        await has(rig, events)


async def close_twice_and_before_connect_is_fine(rig: UplinkRig) -> None:
    uplink = rig.uplink()
    await uplink.close()
    async with running(rig):
        left = Left()
        async with connected(rig) as uplink:
            await deliver(uplink, numbered(1, 3))
        await uplink.close()
        await left.nothing()


async def send_without_connect_is_not_connected(rig: UplinkRig) -> None:
    await raised(NotConnected, rig.uplink().send(numbered(1, 1)), CONNECT_SECONDS)


async def cancel_while_sending_leaves_nothing(rig: UplinkRig) -> None:
    """A stop does not wait for a hung receiver; a fresh uplink delivers afterwards."""
    events = numbered(1, 50)
    async with running(rig):
        left = Left()
        await rig.hang()
        try:
            for turns in (0, 1, 5, 25):
                await _cancelled(rig, events, turns)
        finally:
            await rig.resume()
        await left.nothing()
        async with connected(rig) as uplink:
            await deliver(uplink, events)
        await has(rig, events)


async def _cancelled(rig: UplinkRig, events: Sequence[Event], turns: int) -> None:
    uplink = rig.uplink()
    doing = asyncio.create_task(_connect_then_send(uplink, events))
    for _ in range(turns):
        await asyncio.sleep(0.001)
    doing.cancel()
    await asyncio.gather(doing, return_exceptions=True)
    await in_time(uplink.close(), CONNECT_SECONDS, "close")


async def _connect_then_send(uplink: Uplink, events: Sequence[Event]) -> None:
    await uplink.connect()
    await uplink.send(events)


CHECKS: Final = (
    constructor_does_no_io,
    every_event_has_its_outcome_in_order,
    event_sent_twice_is_held_once,
    poison_is_parked_alone,
    hung_receiver_is_retry_in_time,
    receiver_hung_at_connect_is_found_in_time,
    dead_receiver_is_not_connected_within_ten_seconds,
    receiver_killed_between_sends_loses_nothing,
    receiver_killed_during_a_send_loses_nothing,
    nothing_to_send_is_fine,
    large_event_is_delivered,
    close_twice_and_before_connect_is_fine,
    send_without_connect_is_not_connected,
    cancel_while_sending_leaves_nothing,
)
