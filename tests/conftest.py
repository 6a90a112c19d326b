"""What holds for every test."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

# A deadline per example is a timed test in disguise: on a busy machine it fails for nothing.
settings.register_profile("lineside", deadline=None)
settings.load_profile("lineside")


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
