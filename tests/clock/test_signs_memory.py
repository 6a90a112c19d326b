"""What is asked every second for years leaves nothing behind."""

from __future__ import annotations

import gc
import tracemalloc

from gateway.clock import signs


def test_looking_at_the_kernels_clock_leaves_nothing_behind() -> None:
    """A library that is loaded brings a class of its own, of which some bytes stay."""
    signs.synchronised()
    tracemalloc.start(2)
    try:
        for _ in range(300):
            signs.synchronised()
        gc.collect()
        left = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, "*ctypes*"), tracemalloc.Filter(True, "*signs.py")])
    finally:
        tracemalloc.stop()
    assert sum(each.size for each in left.traces) < 2_000
