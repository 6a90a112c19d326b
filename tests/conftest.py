"""What holds for every test."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.assertion import rewrite
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, nothing about the code. `make faults-night` looks at fifty times as many.
_BUSY = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("quick", max_examples=20, **_BUSY)
settings.register_profile("thorough", max_examples=1000, **_BUSY)
settings.load_profile(os.environ.get("LINESIDE_EXAMPLES", "quick"))


def pytest_xdist_auto_num_workers() -> int:
    """Twice the cores: half of a test's time it waits for a server, a process or a disk."""
    return 2 * (os.cpu_count() or 1)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Every worker collects every test, and rewriting their asserts takes longer than importing them: each rewrites a share."""
    gc.disable()  # nothing of what is collected is garbage
    given = getattr(session.config, "workerinput", None)
    if given is None or sys.dont_write_bytecode:
        return
    tests = [file for file in Path(__file__).parent.rglob("*.py") if file.name.startswith(("test_", "conftest"))]
    files = sorted(tests, key=lambda file: (-file.stat().st_size, file))
    for file in files[int(given["workerid"].removeprefix("gw")) :: given["workercount"]]:
        pyc = rewrite.get_cache_dir(file) / (file.name[:-3] + rewrite.PYC_TAIL)
        if rewrite._read_pyc(file, pyc) is None and rewrite.try_makedirs(pyc.parent):
            source, code = rewrite._rewrite_test(file, session.config)
            rewrite._write_pyc(session.config.stash[rewrite.assertstate_key], code, source, pyc)


def pytest_collection_finish() -> None:
    """A million objects that live as long as the process: no collection of garbage has to look at them again."""
    gc.freeze()
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
