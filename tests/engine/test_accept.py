"""What is acknowledged is on disk, whatever became of it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from gateway.config.settings import IncidentSettings
from gateway.contract import Finding, Json, Machine, Severity, State
from gateway.engine.accept import Acceptance, Route
from gateway.engine.cases import Cases
from gateway.events.build import EventBuilder, rfc3339
from gateway.incidents import History, Rule
from gateway.outbox import deadletters
from gateway.outbox.append import CONTRACT
from gateway.outbox.store import Outbox
from gateway.telemetry.counts import Counts
from gateway.testkit.clock import FakeClock

RULE = Rule("order-1", "order", 0.0, 0.0)
UNTOLD = Finding(machine="mes", condition="milestone_reached", state=State.FACT, t_ns=1, since_ns=1, severity=Severity.INFO, title="")


async def test_a_message_whose_only_event_breaks_its_contract_is_acknowledged_when_that_is_on_disk(tmp_path: Path) -> None:
    """Nobody wants `contract_rejected` here, so the dead letter is all there is to commit."""
    clock, counts = FakeClock(), Counts()
    outbox = Outbox(tmp_path, clock)
    outbox.open()
    cases = Cases(
        EventBuilder("urn:lineside:acme:dresden:gw-1"),
        machines={"mes": Machine(name="mes")},
        history=History((), keep_seconds=60),
        settings=IncidentSettings(),
        counts=counts,
        clock=clock,
    )
    acceptance = Acceptance(outbox, cases, [Route("crm", Severity.INFO, ("io.lineside.order.*",))], counts)
    acceptance.fact(UNTOLD, RULE)
    accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    acceptance.acknowledge(accepted)
    assert not accepted.done(), "nothing of it is on disk yet"
    running = asyncio.create_task(acceptance.run())
    async with asyncio.timeout(10):
        await accepted
    (letter,) = await outbox.run(deadletters.find)
    assert (letter.destination, letter.code, letter.type) == ("crm", CONTRACT, "io.lineside.order.milestone_reached.v1")
    running.cancel()
    await asyncio.wait([running])
    await outbox.close()


async def test_what_must_be_noted_on_a_full_disk_is_also_if_it_came_while_the_like_was_written(tmp_path: Path) -> None:
    clock, counts, builder = FakeClock(), Counts(), EventBuilder("urn:lineside:acme:dresden:gw-1")
    outbox = Outbox(tmp_path, clock)
    outbox.open()
    cases = Cases(builder, machines={}, history=History((), keep_seconds=60), settings=IncidentSettings(), counts=counts, clock=clock)
    acceptance = Acceptance(outbox, cases, [Route("crm", Severity.INFO, ())], counts)
    now = rfc3339(clock.now_ns())
    told: dict[str, Json] = {"title": "", "at": now, "from": now, "to": now, "seconds": 1.0, "by": "ntp", "corrected": 0}
    own = [builder.of_gateway("clock_set", {**told, "title": str(n)}, severity=Severity.INFO, now_ns=n) for n in (1, 2)]
    outbox.room.clear()
    go = threading.Event()
    hanging = asyncio.create_task(outbox.look(lambda _: go.wait(10)))
    await asyncio.sleep(0)
    running = asyncio.create_task(acceptance.run())
    acceptance.event(own[0])
    while acceptance.waiting and not acceptance._in_hand:  # noqa: ASYNC110
        await asyncio.sleep(0)
    acceptance.event(own[1])
    go.set()
    await hanging
    async with asyncio.timeout(2):
        while outbox.accepted < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.wait([running])
    await outbox.close()
