"""What holds for every test."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Iterator

# The authorities of the public web, 150 of them, are read for each context of TLS: our servers have authorities of their own.
os.environ["SSL_CERT_FILE"] = os.devnull

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, nothing about the code. `make faults-night` looks at fifty times as many.
_BUSY = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("quick", max_examples=20, **_BUSY)
settings.register_profile("thorough", max_examples=1000, **_BUSY)
settings.load_profile(os.environ.get("LINESIDE_EXAMPLES", "quick"))


def pytest_xdist_auto_num_workers() -> int:
    """More than cores: a third of a test's time it waits for a server, a process or a disk. Each imports every test
    file, ten seconds of a core, and then what its first server or model takes.
    """
    return 3 * (os.cpu_count() or 1) // 2


def pytest_sessionstart() -> None:
    """Nothing of what is collected is garbage."""
    gc.disable()


def pytest_collection_finish() -> None:
    """A million objects that live as long as the process: no collection of garbage has to look at them again."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)  # a worker ends soon: it need not look for garbage at every seven hundredth object
    gc.enable()


@pytest.fixture(autouse=True)
def _log_levels_stay() -> Iterator[None]:
    """A test that configures the log must not decide what the next one sees of it."""
    ours, root = logging.getLogger("lineside"), logging.getLogger()
    before = ours.level, root.level, list(root.handlers)
    yield
    ours.setLevel(before[0])
    root.setLevel(before[1])
    for handler in [handler for handler in root.handlers if handler not in before[2]]:
        root.removeHandler(handler)
