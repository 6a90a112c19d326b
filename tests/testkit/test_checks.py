"""The batteries themselves: a plugin that is broken in one way is caught by the check that looks for it."""

from __future__ import annotations

import asyncio
import pickle
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace as of_batch
from typing import Any

import msgspec
import numpy as np
import pytest

from gateway.contract import SENT, Batch, Detector, Finding, NotConnected, Outcome, Source, State, StateError, Uplink
from gateway.testkit.checks import detector_checks as detectors
from gateway.testkit.checks import exemptions
from gateway.testkit.checks import source_checks as sources
from gateway.testkit.checks import uplink_checks as uplinks
from gateway.testkit.rigs.https import Rig as HttpsRig
from gateway.testkit.rigs.limit import Rig as LimitRig
from gateway.testkit.rigs.modbus import Rig as ModbusRig


class Around:
    """Hands everything on to the real plugin but what a subclass breaks."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class CountsItems(Around):
    """Tells a condition per item: what it finds depends on the cuts."""

    def process(self, item: Any) -> list[Finding]:
        found: list[Finding] = self.real.process(item)
        return [msgspec.structs.replace(f, score=float(len(item))) for f in found]


class Forgets(Around):
    """Starts anew after load."""

    def load(self, state: bytes) -> None:
        return None


class Pickles(Around):
    def dump(self) -> bytes:
        return pickle.dumps({"version": 1})


class Grows(Around):
    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.kept: list[bytes] = []

    def process(self, item: Any) -> list[Finding]:
        self.kept.append(bytes(2000))
        return list(self.real.process(item))

    def dump(self) -> bytes:
        return bytes(self.real.dump())


class CryWolf(Around):
    def process(self, item: Any) -> list[Finding]:
        return [msgspec.structs.replace(f, state=State.ACTIVE) for f in self.real.process(item)]


class Silent(Around):
    def process(self, item: Any) -> list[Finding]:
        return []


class Future(Around):
    def process(self, item: Any) -> list[Finding]:
        return [msgspec.structs.replace(f, since_ns=f.t_ns + 1) for f in self.real.process(item)]


class NotJson(Around):
    def process(self, item: Any) -> list[Finding]:
        return [msgspec.structs.replace(f, explanation={"value": np.float32(1.0)}) for f in self.real.process(item)]


class Stranger(Around):
    def process(self, item: Any) -> list[Finding]:
        return [msgspec.structs.replace(f, machine="press-08") for f in self.real.process(item)]


class Fragile(Around):
    def process(self, item: Any) -> list[Finding]:
        assert len(item), "an empty batch"
        return list(self.real.process(item))


class AcceptsAnything(Around):
    def load(self, state: bytes) -> None:
        try:
            self.real.load(state)
        except StateError:
            return


class TellsOnlyChanges(Around):
    """After a load it says nothing of what it knew before."""

    def load(self, state: bytes) -> None:
        self.real.load(state)
        for told in self.real._told.values():
            told[:] = True


class StaysBehind(Around):
    """Remembers the times of before."""

    def leap(self, machine: str, delta_ns: int) -> None:
        return None


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (StaysBehind, detectors.goes_along_when_the_gateways_clock_is_put_right),
        (CountsItems, detectors.findings_are_the_same_however_the_input_is_cut),
        (Forgets, detectors.dump_and_load_in_the_middle_change_nothing),
        (Pickles, detectors.state_is_no_pickle),
        (Grows, detectors.memory_is_bounded_over_a_long_stream),
        (CryWolf, detectors.calm_input_is_silent),
        (Silent, detectors.faulty_input_is_found),
        (Silent, detectors.damaged_input_is_survived),
        (Future, detectors.findings_are_well_formed),
        (NotJson, detectors.findings_are_well_formed),
        (Stranger, detectors.findings_are_of_the_machines_watched),
        (Fragile, detectors.damaged_input_is_survived),
        (AcceptsAnything, detectors.unusable_state_is_refused_and_changes_nothing),
        (TellsOnlyChanges, detectors.first_opinion_is_told_after_load),
    ],
)
def test_broken_detector_is_caught(broken: Callable[[Detector], Detector], check: Callable[[Any], None]) -> None:
    class Rig(LimitRig):
        def detector(self) -> Detector:
            return broken(super().detector())

    with pytest.raises(AssertionError):
        check(Rig())


class Opens(Around):
    def __init__(self, real: Any) -> None:
        super().__init__(real)
        with socket.socket() as probe:
            probe.connect_ex(("127.0.0.1", 9))


class LeavesTask(Around):
    async def connect(self) -> None:
        await self.real.connect()
        self.task = asyncio.create_task(asyncio.sleep(20))


class LeavesSocket(Around):
    async def close(self) -> None:
        return None


class NumberWhereBad(Around):
    async def read(self) -> Batch:
        batch: Batch = await self.real.read()
        return of_batch(batch, value=np.nan_to_num(batch.value, nan=0.0))


class LocalTime(Around):
    async def read(self) -> Batch:
        batch: Batch = await self.real.read()
        return of_batch(batch, t_ns=batch.t_ns + 2 * 3600 * 10**9)


class WrongIndex(Around):
    async def read(self) -> Batch:
        batch: Batch = await self.real.read()
        return of_batch(batch, tag=batch.tag + np.int32(1))


class Swallows(Around):
    """Never admits that the peer is lost."""

    async def read(self) -> Batch:
        try:
            return await self.real.read()  # type: ignore[no-any-return]
        except NotConnected:
            await asyncio.sleep(0.01)
            return Batch.of([], [], [])


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (Opens, sources.constructor_does_no_io),
        (LeavesTask, sources.cancel_while_reading_leaves_nothing),
        (LeavesSocket, sources.close_twice_and_before_connect_is_fine),
        (NumberWhereBad, sources.items_are_well_formed),
        (LocalTime, sources.items_are_well_formed),
        (WrongIndex, sources.indices_are_those_of_the_tags),
        (Swallows, sources.server_stopped_while_reading_is_not_connected),
    ],
)
async def test_broken_source_is_caught(
    broken: Callable[[Source], Source], check: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    monkeypatch.setattr(sources, "READ_SECONDS", 1.0)
    monkeypatch.setattr("gateway.testkit.checks.watch.LEFT_SECONDS", 0.3)

    class Rig(ModbusRig):
        def source(self) -> Source:
            made.append(broken(super().source()))
            return made[-1]  # type: ignore[no-any-return]

    rig = Rig()
    with pytest.raises(AssertionError):
        await check(rig)
    for source in made:
        await source.real.close()
        if task := getattr(source, "task", None):
            task.cancel()


class ParksAll(Around):
    async def send(self, events: Sequence[Any]) -> list[Outcome]:
        return [Outcome.park("no")] * len(events)


class ClaimsSent(Around):
    async def send(self, events: Sequence[Any]) -> list[Outcome]:
        return [SENT] * len(events)


class SendsAnew(Around):
    """A new id for every attempt."""

    async def send(self, events: Sequence[Any]) -> list[Outcome]:
        again = [msgspec.structs.replace(e, id=f"{e.id}-{id(events)}") for e in events]
        return await self.real.send(again)  # type: ignore[no-any-return]


class OneShort(Around):
    async def send(self, events: Sequence[Any]) -> list[Outcome]:
        return (await self.real.send(events))[1:]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (ParksAll, uplinks.poison_is_parked_alone),
        (ClaimsSent, uplinks.every_event_has_its_outcome_in_order),
        (ClaimsSent, uplinks.hung_receiver_is_retry_in_time),
        (ClaimsSent, uplinks.receiver_killed_between_sends_loses_nothing),
        (SendsAnew, uplinks.event_sent_twice_is_held_once),
        (OneShort, uplinks.large_event_is_delivered),
        (ClaimsSent, uplinks.send_without_connect_is_not_connected),
    ],
)
async def test_broken_uplink_is_caught(broken: Callable[[Uplink], Uplink], check: Callable[[Any], Any]) -> None:
    class Rig(HttpsRig):
        def uplink(self) -> Uplink:
            return broken(super().uplink())

    with pytest.raises(AssertionError):
        await check(Rig())


def test_exemption_of_an_unknown_check_is_an_error() -> None:
    class Rig:
        exempt = {"connstructor_does_no_io": "typo"}  # noqa: RUF012

    with pytest.raises(AssertionError, match="names no check"):
        exemptions(Rig, sources.CHECKS)


def test_source_without_a_peer_is_exempt_from_losing_it() -> None:
    class Rig:
        can_be_dead = False

    assert exemptions(Rig, sources.CHECKS, sources.NEED_A_PEER).keys() == sources.NEED_A_PEER
