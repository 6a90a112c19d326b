"""The gateway's clock, with facts that are given."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from gateway.clock import KeptClock, Record, Signs
from gateway.clock.signs import BUILT_NS

SECOND = 10**9
DAY = 86_400 * SECOND
NOW = BUILT_NS + 100 * DAY


@dataclass
class Machine:
    """A computer: what its clock shows `boot_ns` after it got power."""

    wall: int = NOW
    boot: int = 20 * SECOND
    ntp: bool = False
    rtc: int | None = None
    name: str = "boot-1"
    marked: int = 0

    @property
    def signs(self) -> Signs:
        return Signs(
            wall_ns=lambda: self.wall,
            since_boot_ns=lambda: self.boot,
            synchronised=lambda: self.ntp,
            marked_ns=lambda: self.marked,
            rtc_ns=lambda: self.rtc,
            boot_id=lambda: self.name,
        )

    def passes(self, seconds: float) -> None:
        self.wall += int(seconds * SECOND)
        self.boot += int(seconds * SECOND)

    def clock(self, record: Record | None = None, *, alive_ns: int = 0, trust: str = "auto", wait: float = 600.0) -> KeptClock:
        made = KeptClock(self.signs, trust=trust, wait_seconds=wait)
        made.open(record or Record(), alive_ns)
        return made


SEEN = Record(boot="boot-0", seen_ns=NOW - DAY)


@pytest.mark.parametrize(
    ("machine", "record", "trust", "state", "by"),
    [
        (Machine(), Record(), "auto", "trusted", "plausible"),
        (Machine(), SEEN, "auto", "trusted", "plausible"),
        (Machine(ntp=True), SEEN, "auto", "trusted", "ntp"),
        (Machine(rtc=NOW + 2 * SECOND), SEEN, "auto", "trusted", "rtc"),
        (Machine(rtc=NOW + 2 * 3600 * SECOND), SEEN, "auto", "trusted", "rtc"),  # it keeps local time
        (Machine(wall=60 * SECOND), Record(), "auto", "not_yet", ""),
        (Machine(wall=60 * SECOND, ntp=True), Record(), "auto", "not_yet", ""),  # a server that tells 1970
        (Machine(wall=60 * SECOND, rtc=60 * SECOND), SEEN, "auto", "not_yet", ""),  # its battery is empty
        (Machine(wall=NOW - 2 * DAY), SEEN, "auto", "not_yet", ""),  # before what was seen already
        (Machine(wall=NOW - DAY + 25 * SECOND), SEEN, "auto", "not_yet", ""),  # restored from a file at the boot
        (Machine(marked=NOW - SECOND), SEEN, "ntp", "trusted", "ntp"),  # told by a file, as where nobody may ask the kernel
        (Machine(), SEEN, "ntp", "not_yet", ""),
        (Machine(ntp=True), SEEN, "ntp", "trusted", "ntp"),
        (Machine(wall=60 * SECOND), SEEN, "always", "trusted", "configuration"),
    ],
)
def test_what_makes_a_clock_trusted_after_a_boot(machine: Machine, record: Record, trust: str, state: str, by: str) -> None:
    clock = machine.clock(record, trust=trust)
    assert (clock.state, clock.by) == (state, by)


def test_until_it_is_trusted_time_goes_on_after_what_was_seen() -> None:
    machine = Machine(wall=60 * SECOND)
    clock = machine.clock(SEEN, alive_ns=NOW - DAY + 30 * SECOND)
    assert clock.now_ns() == NOW - DAY + 30 * SECOND
    machine.passes(5)
    assert clock.now_ns() == NOW - DAY + 35 * SECOND
    assert clock.due() == ""
    machine.wall = NOW
    assert clock.due() == "set", "somebody has told it the time"
    adopted = clock.adopt("set")
    assert (adopted.was, adopted.delta_ns, clock.now_ns()) == ("not_yet", DAY - 35 * SECOND, NOW)
    assert clock.trusted


def test_the_daemon_started_again_in_the_same_boot_goes_on_with_the_same_time() -> None:
    machine = Machine(wall=60 * SECOND)
    first = machine.clock(SEEN)
    machine.passes(100)
    record = first.kept(Record())
    machine.passes(10)
    second = machine.clock(record)
    assert (second.state, second.now_ns()) == ("not_yet", first.now_ns())


def test_small_steps_are_followed_without_a_word() -> None:
    machine = Machine()
    clock = machine.clock()
    machine.wall += SECOND  # a leap second
    assert clock.due() == ""
    assert (clock.state, clock.now_ns()) == ("trusted", machine.wall)


@pytest.mark.parametrize("leap", [30 * DAY, -30 * DAY])
class TestALeap:
    def test_of_a_synchronised_clock_is_followed_at_once(self, leap: int) -> None:
        machine = Machine(ntp=True)
        clock = machine.clock()
        machine.wall += leap
        assert clock.due() == "ntp"
        assert clock.adopt("ntp").delta_ns == leap

    def test_is_not_confirmed_by_what_was_said_before_it(self, leap: int) -> None:
        machine = Machine(marked=NOW - SECOND)
        clock = machine.clock()
        machine.passes(5)
        machine.wall += leap
        assert (clock.due(), clock.state) == ("", "stepped")
        machine.passes(5)
        machine.marked = machine.wall
        assert clock.due() == "ntp"

    def test_that_nobody_confirms_is_followed_when_it_was_left_so(self, leap: int) -> None:
        machine = Machine()
        clock = machine.clock(wait=600.0)
        machine.wall += leap
        assert clock.due() == ""
        assert (clock.state, clock.now_ns()) == ("stepped", machine.wall - leap)
        machine.passes(599)
        assert clock.due() == ""
        machine.passes(2)
        assert clock.due() == "set"

    def test_that_goes_back_was_none(self, leap: int) -> None:
        machine = Machine()
        clock = machine.clock()
        machine.wall += leap
        clock.due()
        machine.passes(100)
        machine.wall -= leap
        assert clock.due() == ""
        assert (clock.state, clock.steps, clock.now_ns()) == ("trusted", 2, machine.wall)

    def test_while_the_daemon_was_down_is_seen_by_the_next_start(self, leap: int) -> None:
        machine = Machine()
        record = machine.clock().kept(Record())
        machine.passes(60)
        machine.wall += leap
        clock = machine.clock(record)
        assert clock.due() == ""
        assert (clock.state, clock.now_ns()) == ("stepped", machine.wall - leap)


def test_to_a_time_that_cannot_be_is_never_followed() -> None:
    machine = Machine()
    clock = machine.clock(wait=10.0)
    machine.wall, machine.ntp = 60 * SECOND, True
    clock.due()
    machine.passes(100)
    assert clock.due() == ""
    assert clock.state == "stepped"


def test_a_machine_that_slept_has_no_leap() -> None:
    """CLOCK_BOOTTIME counts what CLOCK_MONOTONIC does not."""
    machine = Machine()
    clock = machine.clock()
    machine.passes(8 * 3600)
    assert clock.due() == ""
    assert (clock.state, clock.steps) == ("trusted", 0)
