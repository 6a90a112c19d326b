"""Who is logged in. A session ends when nobody uses it, when it is old, and when its account is not what it was."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gateway.accounts.roles import Role
from gateway.accounts.store import User

MOST: Final = 64
MOST_OF_ONE: Final = 8
_FORGET_SECONDS: Final = 3600.0
"""How long it is remembered why a session ended."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Seconds. A session nobody uses is locked after `idle`, one of a viewer after `idle_viewer`; after `longest` each ends."""

    idle: float = 900.0
    idle_viewer: float = 900.0
    longest: float = 43_200.0


@dataclass
class Session:
    """`account` is what it was at the login; `ended`: idle, limit, account, or empty while it holds; `told`: the audit knows."""

    user: str
    account: User
    begun: float
    used: float
    ended: str = ""
    told: bool = False

    @property
    def role(self) -> Role:
        return Role[self.account.role.upper()]


class Sessions:
    """In memory: a restart ends them all. Kept by hash, so that a look into the memory's dump gives no cookie."""

    def __init__(self, limits: Limits, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._monotonic = monotonic
        self._sessions: dict[bytes, Session] = {}

    def __len__(self) -> int:
        return sum(not session.ended for session in self._sessions.values())

    def begin(self, user: str, account: User) -> str:
        """A new token of 256 bits. Those that have ended make room, then the oldest."""
        now = self._monotonic()
        own = [key for key, session in self._sessions.items() if session.user == user]
        own.sort(key=lambda key: not self._sessions[key].ended)
        for key in own[: max(0, len(own) - MOST_OF_ONE + 1)]:
            del self._sessions[key]
        while len(self._sessions) >= MOST:
            del self._sessions[min(self._sessions, key=lambda key: (not self._sessions[key].ended, self._sessions[key].used))]
        token = secrets.token_urlsafe(32)
        self._sessions[_key(token)] = Session(user, account, now, now)
        return token

    def find(self, token: str, users: Mapping[str, User], *, used: bool) -> Session | None:
        """None: there is none. It may be one that has ended.

        used   somebody did something; what the page asks by itself does not keep a session alive
        """
        session = self._sessions.get(_key(token))
        if session is None:
            return None
        if not session.ended:
            session.ended = self._why(session, users)
        if used and not session.ended:
            session.used = self._monotonic()
        return session

    def end(self, token: str) -> bool:
        """Logged out. False: there was nobody."""
        return self._sessions.pop(_key(token), None) is not None

    def sweep(self, users: Mapping[str, User]) -> list[Session]:
        """Those that have ended since the last time; forgets old ones."""
        now, ended = self._monotonic(), []
        for key, session in list(self._sessions.items()):
            session.ended = session.ended or self._why(session, users)
            if session.ended and not session.told:
                session.told = True
                ended.append(session)
            if session.ended and now - session.used > _FORGET_SECONDS + self.limits.longest:
                del self._sessions[key]
        return ended

    def _why(self, session: Session, users: Mapping[str, User]) -> str:
        now = self._monotonic()
        if users.get(session.user) != session.account:
            return "account"
        viewer = session.role == Role.VIEWER
        idle = self.limits.idle_viewer if viewer else self.limits.idle
        longest = max(self.limits.longest, idle) if viewer else self.limits.longest
        if now - session.begun >= longest:
            return "limit"
        return "idle" if now - session.used >= idle else ""


def _key(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()
