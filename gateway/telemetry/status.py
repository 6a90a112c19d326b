"""Which links are up, since when, and why not; a change of state is logged once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from gateway.contract import Clock, LinesideError, NotConnected

log = logging.getLogger("lineside")
NOT_TRUSTED = "clock not trusted yet"
CLOCK_RETRY_SECONDS = 5.0
"""How soon a link is tried again that only the gateway's own clock keeps from being up."""
_DATE_CODES = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_DATE_WORDS = (
    "certificate is not yet valid",
    "certificate has expired",
    "certificate is valid from",
    "certificate ended on",
    "certificatetimeinvalid",
)

Kind: TypeAlias = Literal["source", "destination", "feedback"]
LinkState: TypeAlias = Literal["connecting", "up", "down", "ended"]


@dataclass
class Link:
    """One source, destination, or way back from a destination.

    since_ns   wall time of the last change of state
    changed    told the state before and since when it was
    """

    kind: Kind
    name: str
    state: LinkState = "connecting"
    since_ns: int = 0
    why: str = ""
    losses: int = 0
    changed: Callable[[LinkState, int], None] | None = None


class Status:
    """The links of the gateway. Log once when lost, once when back; what is not the link's fault is told when it shows."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.doubted: Callable[[], bool] = lambda: False
        """Whether the gateway's own clock is not to be trusted now."""
        self.links: dict[tuple[str, str], Link] = {}

    def add(self, kind: Kind, name: str) -> Link:
        link = Link(kind, name, since_ns=self._clock.now_ns())
        self.links[kind, name] = link
        return link

    def source(self, name: str) -> Link | None:
        """The link of one source."""
        return self.links.get(("source", name))

    def remove(self, link: Link) -> None:
        self.links.pop((link.kind, link.name), None)

    def up(self, link: Link) -> None:
        if link.state == "up":
            return
        seconds = (self._clock.now_ns() - link.since_ns) / 1e9
        verb = "back" if link.losses else "connected"
        log.info(verb, extra={"fields": {link.kind: link.name, "after_seconds": round(seconds, 1)}})
        self._change(link, "up", "")

    def blames_clock(self, error: BaseException) -> bool:
        """A certificate seems too young or too old, and so it must to a clock that is wrong: nobody can say which of the two it is."""
        return self.doubted() and judged_by_date(error)

    def leap(self, delta_ns: int) -> None:
        """The gateway's clock was put right by so much."""
        for link in self.links.values():
            link.since_ns += delta_ns

    def down(self, link: Link, error: BaseException, retry_seconds: float) -> None:
        why, known = _why(error), link.state == "down"
        if self.blames_clock(error):
            error = NotConnected(getattr(error, "peer", link.name), why := f"{NOT_TRUSTED} ({why})")
        if not known or (why != link.why and not isinstance(error, NotConnected)):
            _tell(link, error, why, retry_seconds)
        if known:
            link.why = why
        else:
            link.losses += 1
            self._change(link, "down", why)

    def summary(self) -> str:
        """For `systemctl status`: ``3 of 4 sources and 1 of 1 destinations are up``."""
        words = []
        for kind in ("source", "destination"):
            states = [link.state for link in self.links.values() if link.kind == kind]
            words.append(f"{states.count('up')} of {len(states)} {kind}s")
        return f"{' and '.join(words)} are up"

    def ended(self, link: Link) -> None:
        log.info("ended", extra={"fields": {link.kind: link.name}})
        self._change(link, "ended", "")

    def _change(self, link: Link, state: LinkState, why: str) -> None:
        before, since_ns = link.state, link.since_ns
        link.state, link.why, link.since_ns = state, why, self._clock.now_ns()
        if link.changed is not None:
            link.changed(before, since_ns)


def judged_by_date(error: BaseException) -> bool:
    """Some certificate was refused because of its dates; it is found in what caused the error, or in its words."""
    seen: BaseException | None = error
    while seen is not None:
        if getattr(seen, "verify_code", 0) in _DATE_CODES or any(words in str(seen).lower() for words in _DATE_WORDS):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _tell(link: Link, error: BaseException, why: str, retry_seconds: float) -> None:
    facts = {link.kind: link.name, "why": why, "retry_seconds": round(retry_seconds, 1)}
    if isinstance(error, NotConnected):
        log.warning("lost", extra={"fields": facts | {"peer": error.peer}})
    else:
        # A traceback only for what nobody foresaw.
        log.error("failed", extra={"fields": facts}, exc_info=None if isinstance(error, LinesideError) else error)


def _why(error: BaseException) -> str:
    if isinstance(error, NotConnected):
        return error.why
    return str(error) if isinstance(error, LinesideError) else f"{type(error).__name__}: {error}"
