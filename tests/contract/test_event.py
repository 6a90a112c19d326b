"""What an event is to Python."""

from __future__ import annotations

import gc

from gateway.testkit.rigs import event


def test_the_collector_does_not_look_at_events() -> None:
    """Ten thousand may wait for the disk, and each holds texts and numbers only."""
    assert not gc.is_tracked(event(1))
