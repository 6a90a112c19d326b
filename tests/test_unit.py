"""What systemd is told, and how often."""

from __future__ import annotations

import pytest

from gateway.sdnotify import Notifier
from gateway.testkit.clock import FakeClock
from gateway.unit import Unit


class Said(Notifier):
    """A notifier that keeps what it would send."""

    def __init__(self) -> None:
        super().__init__("")
        self.lines: list[tuple[str, ...]] = []

    def send(self, *lines: str) -> None:
        self.lines.append(lines)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    return Said()


async def test_the_watchdog_is_fed_by_progress_and_at_most_every_third_of_its_limit(said: Said) -> None:
    clock = FakeClock()
    unit = Unit(said, clock, lambda: "2 of 2 sources up")
    await clock.advance(100)
    for _ in range(25):
        unit.progress()
        await clock.advance(1)
    assert said.lines == [("WATCHDOG=1", "STATUS=2 of 2 sources up")] * 3
    await clock.advance(100)
    assert len(said.lines) == 3, "no progress, no food"


def test_without_a_watchdog_nothing_is_fed(said: Said) -> None:
    said.watchdog_seconds = None
    Unit(said, FakeClock(), lambda: "").progress()
    assert said.lines == []


def test_a_refused_reload_is_ready_again(said: Said) -> None:
    unit = Unit(said, FakeClock(), lambda: "")
    unit.reloading()
    unit.refused()
    unit.stopping()
    assert [lines[0] for lines in said.lines] == ["RELOADING=1", "READY=1", "STOPPING=1"]
