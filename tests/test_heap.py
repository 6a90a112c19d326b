"""One heap for all threads, and what is free in it goes back."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROBE = """
import ctypes, sys, threading
from pathlib import Path
from gateway import heap
if "small" in sys.argv:
    heap.keep_small()
held, done = [], threading.Event()

def work():
    held.append(bytearray(50_000))
    done.wait()

threads = [threading.Thread(target=work) for _ in range(4)]
for each in threads:
    each.start()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
done.set()
print(Path(sys.argv[1]).read_text().count("<heap nr="))
"""


@pytest.mark.parametrize(("words", "single"), [([], False), (["small"], True)])
def test_threads_share_one_heap(tmp_path: object, words: list[str], single: bool) -> None:
    """Counted by glibc, with as many threads at work as the gateway has."""
    done = subprocess.run([sys.executable, "-c", _PROBE, f"{tmp_path}/info", *words], capture_output=True, text=True, check=True)
    assert (int(done.stdout) == 1) is single


_HOLES = """
from gateway import heap

heap.keep_small()
resident = lambda: int(open("/proc/self/statm").read().split()[1])
held = [bytes(2_000) for _ in range(20_000)]
held = held[::50]
before = resident()
heap.give_back()
print(before, resident())
"""


def test_what_is_free_between_what_lives_long_goes_back() -> None:
    """Of 40 megabytes every fiftieth block stays, the last one too: nothing at the heap's end is free."""
    done = subprocess.run([sys.executable, "-c", _HOLES], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert before - after > 5_000  # pages of 4 kilobytes


def test_garbage_made_before_is_gone_and_what_comes_is_looked_at_soon() -> None:
    probe = """
import gc, weakref
from gateway import heap

class Node: ...

def cycle():
    one = Node()
    one.itself = one
    return weakref.ref(one)

gc.disable()
kept = [Node() for _ in range(100_000)]
before = cycle()
heap.settle()
after = cycle()
print(before(), gc.get_freeze_count() > 100_000, len(gc.get_objects()) < 10_000)
gc.collect()
again = after()
heap.settle()
print(again)
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["None True True", "None"]
