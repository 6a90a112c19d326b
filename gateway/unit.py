"""What systemd is told of the gateway: that it is ready, reloads or stops, how it is, and that its pipeline moves on."""

from __future__ import annotations

import logging
from collections.abc import Callable

from gateway.config import Settings
from gateway.contract import Clock
from gateway.sdnotify import Notifier

log = logging.getLogger("lineside")


class Unit:
    """words   of how it is now, for `systemctl status`"""

    def __init__(self, notifier: Notifier, clock: Clock, words: Callable[[], str]) -> None:
        self._notifier, self._clock, self._words = notifier, clock, words
        self._fed = 0.0

    def ready(self, settings: Settings) -> None:
        """With this configuration; also after a reload."""
        tags = sum(len(source.tags) for source in settings.sources)
        log.info("ready", extra={"fields": {"gateway": settings.site.gateway, "sources": len(settings.sources), "tags": tags}})
        self._notifier.send("READY=1", f"STATUS={self._words()}")

    def reloading(self) -> None:
        self._notifier.send("RELOADING=1", f"MONOTONIC_USEC={int(self._clock.monotonic() * 1e6)}")

    def refused(self) -> None:
        """The reload; it is ready as before."""
        self._notifier.send("READY=1", "STATUS=reload refused, the configuration from before runs on; see the log")

    def stopping(self) -> None:
        self._notifier.send("STOPPING=1", "STATUS=stopping")
        log.info("stopping")

    def progress(self) -> None:
        """The watchdog is fed by the pipeline's progress, not by a timer: called whenever it moves on, as often as that is."""
        every, now = self._notifier.watchdog_seconds, self._clock.monotonic()
        if every is not None and now - self._fed >= every:
            self._fed = now
            self._notifier.send("WATCHDOG=1", f"STATUS={self._words()}")
