"""One heap for all threads."""

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
