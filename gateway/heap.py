"""How glibc keeps memory: for a process that runs for years beside others on a small machine, not for one with many busy threads."""

from __future__ import annotations

import ctypes

MMAP_BYTES = 128 << 10
"""Less than a read through TLS asks for: 256 kilobytes, of which a short answer stays for a while. Row 42 of `make faults` shows it."""
TRIM_BYTES = 256 << 10
# Of malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8


def keep_small() -> None:
    """Before the first thread starts. Without glibc nothing happens.

    One heap instead of one a thread, whose free rest nobody else can use: of our threads few work at a time. And what is large goes
    back to the system when it is freed: left to itself glibc raises that limit to 32 MB, and what lives long among the remains of
    what was large keeps them from going back.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return
    mallopt(_ARENA_MAX, 1)
    mallopt(_MMAP_THRESHOLD, MMAP_BYTES)
    mallopt(_TRIM_THRESHOLD, TRIM_BYTES)


def give_back() -> None:
    """Pages between what is in use, once a minute: a tenth of a millisecond.

    glibc gives back the end of its heap only. What lives long settles between what comes and goes; so the heap is used a little wider
    every minute, although nothing in it grows: up to 9 MB a day in the first hour of row 42.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
