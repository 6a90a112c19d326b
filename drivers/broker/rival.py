"""Another client with our client id: the broker gives the session to whoever came last, so both lose it in turns."""

from __future__ import annotations

from drivers.broker.broker import Broker
from drivers.broker.session import Session
from gateway.contract import Health, NotConnected, SourceContext, Trouble

STABLE_SECONDS = 180.0
"""A session we kept for so long is ours alone: a rival that waits a minute between its attempts would have come back."""
SOON_SECONDS = 60.0
TOLD_MOST, UNTOLD_MOST = 2, 3


class Rival:
    """Of one source. Version 5 says that the session was taken over. 3.1.1 hangs up without a word; so does a broker that ends, but
    that one is not there again at once.

    The second time in a row (without a word the third) it is one trouble, `lost`, until the session is kept; and from then on
    the other is not disturbed more than once a minute.
    """

    def __init__(self, context: SourceContext) -> None:
        self._context = context
        self._connected_at = 0.0
        self._lost = 0
        self._told = False

    def connected(self) -> None:
        self._connected_at = self._context.clock.monotonic()

    def refused(self, session: Session | None, exc: NotConnected, broker: Broker) -> NotConnected:
        """`exc`, or what it means: of a connection that did not come about."""
        if session is not None and session.taken_over:
            return self.lost(session, exc, broker)
        if not self._told:
            self._lost = 0
        return exc

    def lost(self, session: Session, exc: NotConnected, broker: Broker) -> NotConnected:
        """`exc`, or what it means."""
        if not (session.taken_over or session.link.hung_up):
            return exc
        kept = self._context.clock.monotonic() - self._connected_at
        self._lost = self._lost + 1 if kept < SOON_SECONDS or self._told else 1
        if not self._told and self._lost < (TOLD_MOST if session.taken_over else UNTOLD_MOST):
            return exc
        client_id = broker.identity.client_id
        why = f"another client uses our client id {client_id!r}: the broker gives the session to whoever came last"
        if not session.taken_over:
            why = f"hangs up on us again and again without a word: does another client use our client id {client_id!r}?"
        self._told = True
        self._context.health(Health(trouble=Trouble.LOST, active=True, why=why))
        return NotConnected(exc.peer, why, login=True)

    def look(self) -> None:
        """While we have the session."""
        if self._told and self._context.clock.monotonic() - self._connected_at > STABLE_SECONDS:
            self._told, self._lost = False, 0
            self._context.health(Health(trouble=Trouble.LOST, active=False))
