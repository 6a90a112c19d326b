"""``accounts.json`` in the state folder: read by the running gateway, changed by `lineside user` and `lineside token`.

Only hashes are in it. It is written whole (0600), and one command at a time may change it.
"""

from __future__ import annotations

import fcntl
import hmac
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from gateway.accounts.roles import Role
from gateway.contract import ConfigError
from gateway.durable import write

FILE_NAME: Final = "accounts.json"
PREFIX: Final = "lineside_"
"""Of a token, so that a scanner of secrets knows one."""
MOST: Final = 200
"""Of each."""
NAME: Final = r"^[a-z0-9][a-z0-9._-]{0,62}$"


class User(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`role` as a word, `password` hashed."""

    role: str
    password: str
    locked: bool = False
    since: float = 0.0


class Token(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`digest`: SHA-256 in hex; it is random, so it needs no salt. `until` 0: without end."""

    role: str
    digest: str
    since: float = 0.0
    until: float = 0.0


class Accounts(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    version: int = 1
    users: dict[str, User] = msgspec.field(default_factory=dict)
    tokens: dict[str, Token] = msgspec.field(default_factory=dict)

    @property
    def exist(self) -> bool:
        """Somebody may log in, or could; the page needs a login from then on."""
        return bool(self.users or self.tokens)

    def bearer(self, token: str, now: float) -> tuple[str, Role] | None:
        """Name and role of who shows this token; None: nobody's, or its time is over."""
        digest = digest_of(token)
        for name, each in self.tokens.items():
            if hmac.compare_digest(each.digest, digest) and not (each.until and now >= each.until):
                return name, Role[each.role.upper()]
        return None


def digest_of(token: str) -> str:
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def new_token() -> str:
    """256 bits."""
    return PREFIX + secrets.token_urlsafe(32)


def read(folder: Path) -> Accounts:
    """Without a file: nobody.

    raises ConfigError   it is there and cannot be used: nobody may be let in because of that
    """
    path = folder / FILE_NAME
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Accounts)
    except FileNotFoundError:
        return Accounts()
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{path} is damaged: {exc}") from exc
    words = {user.role for user in found.users.values()} | {token.role for token in found.tokens.values()}
    if found.version != 1 or words - {role.word for role in Role}:
        raise ConfigError(f"{path} is damaged, or of another version of lineside")
    return found


@contextmanager
def changing(folder: Path) -> Iterator[Accounts]:
    """The accounts, to be changed inside; written when nothing is raised, and then on disk.

    raises ConfigError, OSError
    """
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # the folder itself: a lock file would be one more thing to keep
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = read(folder)
        before = msgspec.json.encode(found)
        yield found
        content = msgspec.json.format(msgspec.json.encode(found), indent=1)
        if msgspec.json.encode(found) != before:
            write(folder / FILE_NAME, content + b"\n")
    finally:
        os.close(lock)


@dataclass
class Watched:
    """The accounts as a running gateway knows them; `look` is called often and reads only what changed.

    problem   why the file cannot be used; what was known before holds on, and without it nobody gets in
    """

    folder: Path
    accounts: Accounts = field(default_factory=Accounts)
    problem: str = ""
    _stamp: tuple[int, int, int] | None = None

    def look(self) -> bool:
        """Whether something changed. Touches the disk: not on the loop."""
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return False
        before = (self.accounts, self.problem)
        try:
            self.accounts, self.problem = read(self.folder), ""
        except ConfigError as exc:
            self.problem = str(exc)
        self._stamp = stamp
        return before != (self.accounts, self.problem)

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            found = (self.folder / FILE_NAME).stat()
        except FileNotFoundError:
            return None
        except OSError:
            return 0, 0, 0  # it may be there: `read` says what is wrong
        return found.st_ino, found.st_mtime_ns, found.st_size

    @property
    def needed(self) -> bool:
        """Nobody gets in without a login."""
        return self.accounts.exist or bool(self.problem)
