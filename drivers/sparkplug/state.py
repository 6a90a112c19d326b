"""What edge nodes know of their primary host: online or not, since when. Sparkplug 3.0, section 6.4.26. Pure."""

from __future__ import annotations

import json

from drivers.broker.packets import Will


class State:
    """Of one host id. The will and what takes it back carry one time: that of the connection."""

    def __init__(self, host_id: str) -> None:
        self.topic = f"spBv1.0/STATE/{host_id}"
        self._since_ms = self._seen_ms = 0

    def begin(self, now_ms: int) -> Will:
        """A new connection; later than every other one that was told of."""
        self._since_ms = max(now_ms, self._seen_ms + 1)
        return Will(self.topic, self._said(online=False), qos=1, retain=True)

    @property
    def online(self) -> bytes:
        return self._said(online=True)

    @property
    def offline(self) -> bytes:
        return self._said(online=False)

    def heard(self, payload: bytes) -> bool:
        """Somebody said something of our host id: True if it is that we are not there."""
        try:
            said = json.loads(payload)
            offline, told_ms = said["online"] is False, said["timestamp"]
        except (ValueError, TypeError, KeyError, RecursionError):
            return False
        if offline and isinstance(told_ms, int) and 0 < told_ms < 2**62:
            self._seen_ms = max(self._seen_ms, told_ms)
        return offline

    @property
    def outdated(self) -> bool:
        """What was said is later than our connection: edge nodes ignore what we say of it."""
        return self._seen_ms > self._since_ms

    def _said(self, *, online: bool) -> bytes:
        return json.dumps({"online": online, "timestamp": self._since_ms}).encode()
