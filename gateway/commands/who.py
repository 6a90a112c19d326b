"""Who typed a command, for verdicts and for the audit."""

from __future__ import annotations

import getpass
import os


def user() -> str:
    """The name somebody logged in with, also behind sudo."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def typed() -> str:
    """For the audit: ``anna (command)``."""
    return f"{user()} (command)"
