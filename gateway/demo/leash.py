"""``python -m gateway.demo.leash PARENT COMMAND...``: become COMMAND, but end when the process PARENT ends.

Even a killed story leaves no server behind. The command gets a session of its own, so that Ctrl-C in the terminal
reaches the story alone, and the story stops the others in good order.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Never returns. Where the kernel knows no such signal, the command simply runs."""
    parent = int(sys.argv[1])
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(0)
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606  a command the story itself wrote


if __name__ == "__main__":
    main()
