"""How glibc keeps memory: for a process that runs for years beside others on a small machine, not for one with many busy threads."""

from __future__ import annotations

import ctypes
import gc

MMAP_BYTES = 128 << 10
"""Less than a read through TLS asks for: 256 kilobytes, of which a short answer stays for a while. Row 42 of `make faults` shows it."""
TRIM_BYTES = 256 << 10
# Of malloc.h.
_LIBC = ctypes.CDLL(None)
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def keep_small() -> None:
    """Before the first thread starts. Without glibc nothing happens.

    One heap instead of one a thread, whose free rest nobody else can use: of our threads few work at a time. And what is large goes
    back to the system when it is freed: left to itself glibc raises that limit to 32 MB, and what lives long among the remains of
    what was large keeps them from going back.
    """
    mallopt = getattr(_LIBC, "mallopt", None)
    if mallopt is None:
        return
    mallopt(_ARENA_MAX, 1)
    mallopt(_MMAP_THRESHOLD, MMAP_BYTES)
    mallopt(_TRIM_THRESHOLD, TRIM_BYTES)


def give_back() -> None:
    """Once a minute, some milliseconds: what Python keeps for the next tuples and numbers, and pages between what is in use.

    Python keeps up to 2,000 freed tuples of each length, which fill up over hours, and lets go of them only when it has looked for
    garbage among all objects. glibc gives back the end of its heap only; what lives long settles between what comes and goes, so the
    heap is used a little wider every minute, although nothing in it grows. Row 42 of `make faults` measures what is left of both.
    """
    gc.collect()
    trim = getattr(_LIBC, "malloc_trim", None)
    if trim is not None:
        trim(0)


def settle() -> None:
    """Throw away all garbage, then have the collector look at what is new only. It holds all threads for a tenth of a second.

    After a start there are some hundred thousand objects that stay.
    """
    gc.unfreeze()  # among it may be a configuration that was replaced
    gc.collect()
    gc.freeze()
