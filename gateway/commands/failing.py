"""What goes wrong around a command of a gateway's life, as one line and an exit code."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable

import click

from gateway.contract import ConfigError
from gateway.life.archive import Damaged
from gateway.life.sealed import WrongPassphrase
from gateway.outbox.lock import NotNow

FAILED, WRONG = 1, 2
_AS_ROOT = "run the command as root or as the gateway's user"


def answered(command: Callable[[], int]) -> int:
    """Exit code of `command`; 1 it failed, 2 wrong input or configuration. The reason is on standard error."""
    try:
        return command()
    except ConfigError as exc:
        return _say(str(exc), WRONG)
    except (Damaged, NotNow) as exc:
        return _say(str(exc), FAILED)
    except WrongPassphrase:
        return _say("the passphrase is wrong, or the sealed part was changed; nothing was done", FAILED)
    except sqlite3.Error as exc:
        return _say(f"the outbox cannot be used: {exc}; {_AS_ROOT}", FAILED)
    except OSError as exc:
        return _say(_os_words(exc), FAILED)


def _os_words(exc: OSError) -> str:
    remedy = {errno.EACCES: _AS_ROOT, errno.EPERM: _AS_ROOT, errno.ENOSPC: "make room", errno.EROFS: "choose another place"}
    words = f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc.strerror or exc)
    return f"{words}; {remedy[exc.errno]}" if exc.errno in remedy else words


def _say(words: str, code: int) -> int:
    click.echo(f"lineside: {words}", err=True)
    return code
