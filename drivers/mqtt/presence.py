"""What a device, or the broker in its will, says of whether it is there."""

from __future__ import annotations

from math import nan

import msgspec

from drivers.mqtt.config import Birth
from drivers.mqtt.gathered import BAD_DEVICE, Gathered
from drivers.mqtt.jsonpath import MISSING, steps, walk
from drivers.mqtt.values import REFUSED
from gateway.contract import Health, Tag, Trouble

_json = msgspec.json.Decoder()


class Presence:
    """As it said last; until it said something it counts as there.

    topic   where it says so; without wildcards
    away    it said that it is not there
    """

    def __init__(self, birth: Birth, topic: str, tags: tuple[Tag, ...]) -> None:
        self.topic, self.away = topic, False
        self._birth, self._tags = birth, tags
        self._path = None if birth.value is None else steps(birth.value)

    def __call__(self, payload: bytes, now_ns: int, into: Gathered) -> None:
        """A word that is neither of the two says nothing, and is counted."""
        said = self._word(payload)
        if said not in (self._birth.online, self._birth.offline):
            into.lose("birth_unknown")
            return
        was, self.away = self.away, said == self._birth.offline
        if self.away and not was:
            into.readings += [(tag.index, now_ns, nan, BAD_DEVICE) for tag in self._tags if tag.options.kind != "waveform"]
        into.health.append(Health(trouble=Trouble.LOST, active=self.away, device=self.topic, why=f"it says {said!r}" if self.away else ""))

    def _word(self, payload: bytes) -> str:
        if self._path is None:
            return payload.decode(errors="replace").strip()
        try:
            found = walk(_json.decode(payload), self._path)
        except REFUSED:
            found = MISSING
        return found if isinstance(found, str) else msgspec.json.encode(found).decode() if found is not MISSING else ""
