"""Doubted, on trial, set aside: who is left out, and for how long."""

from __future__ import annotations

import pytest

from gateway.outbox import aside as aside_module
from gateway.outbox.aside import ASIDE_SECONDS, Aside
from gateway.testkit.clock import FakeClock


def test_a_doubted_machine_is_no_probe_but_goes_with_the_others() -> None:
    aside = Aside(FakeClock())
    aside.doubt("m1")
    assert (aside.suspects, aside.tried("m1"), aside.on_trial()) == (["m1"], False, None)
    aside.all_doubted()
    assert aside.suspects == []


async def test_who_was_doubted_is_on_trial_when_another_passes_and_aside_when_that_fails() -> None:
    clock = FakeClock()
    aside = Aside(clock)
    aside.doubt("m1")
    assert not aside.passed("m2")
    assert (aside.on_trial(), aside.tried("m1")) == ("m1", True)
    assert aside.failed("m1")
    assert (aside.on_trial(), aside.tried("m1"), aside.why) == (None, True, "set aside: m1")
    await clock.advance(ASIDE_SECONDS)
    assert aside.on_trial() == "m1"
    assert not aside.failed("m1")
    await clock.advance(ASIDE_SECONDS)
    assert aside.passed("m1")
    assert (aside.on_trial(), aside.tried("m1"), aside.why) == (None, False, "")


def test_a_doubted_machine_that_passes_is_doubted_no_more() -> None:
    aside = Aside(FakeClock())
    aside.doubt("m1")
    assert not aside.passed("m1")
    assert (aside.suspects, aside.on_trial()) == ([], None)


def test_no_more_machines_are_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside_module, "MOST", 5)
    aside = Aside(FakeClock())
    for n in range(3):
        aside.doubt(f"m{n}")
    aside.passed("other")
    for n in range(3):
        aside.failed(f"m{n}")
    for n in range(3, 9):
        aside.doubt(f"m{n}")
    assert len(aside.suspects) == 5
    aside.passed("other")
    for n in (3, 4):
        aside.failed(f"m{n}")
    assert sorted(aside.suspects) == ["m0", "m1", "m2", "m3", "m4"]
    assert aside.why == "set aside: m0, m1, m2 and 2 more"
