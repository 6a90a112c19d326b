"""What the process of a source does to itself before it knows any plugin."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_FILES = 512
_NICE = 10
_EXPENDABLE = "500"


def confine(parent: int) -> None:
    """Ends with the gateway, whatever it is doing then; is the kernel's first choice when memory ends; is not waited for by others.

    The gateway alone ends it: systemd's SIGTERM goes to the whole unit, and the source has to be closed in good order.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    faulthandler.enable()
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_NOFILE, _FILES)
    with suppress(OSError):  # systemd's filter may refuse both; neither is needed for being stopped
        os.nice(_NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_EXPENDABLE, encoding="ascii")


def limit(what: int, most: int) -> None:
    """Lower, for good."""
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def bound_memory(megabytes: int) -> None:
    """So much beside what Python and numpy have taken: address space, the only memory the kernel refuses to give."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit(resource.RLIMIT_AS, pages * resource.getpagesize() + (megabytes << 20))
