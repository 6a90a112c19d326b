"""One event as templates see it: its attributes, the levels of its subject and source, and its data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from gateway.contract import Event
from gateway.events.build import rfc3339
from gateway.uplink.https.filters import Unfit
from gateway.uplink.https.paths import MISSING

_decode = msgspec.json.Decoder().decode
_LEVELS = ("area", "line", "cell", "machine", "point")
_PLACES = ("enterprise", "site", "gateway")


class View:
    """Decodes the data once, and only if it is asked for. Raises Unfit when it is no JSON."""

    __slots__ = ("_data", "event")

    def __init__(self, event: Event) -> None:
        self.event = event
        self._data: Any = MISSING

    @property
    def data(self) -> Any:
        if self._data is MISSING:
            try:
                self._data = _decode(self.event.data)
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
                raise Unfit(f"its data is no JSON: {exc}"[:200]) from exc
        return self._data


Look = Callable[[View], Any]


def _level(place: int) -> Look:
    def look(view: View) -> Any:
        levels = view.event.subject.split("/")
        return levels[place] if place < len(levels) and levels[place] not in ("", "_") else MISSING

    return look


def _place(place: int) -> Look:
    def look(view: View) -> Any:
        parts = view.event.source.split(":")
        return parts[place] if place < len(parts) else MISSING

    return look


VARIABLES: Final[dict[str, Look]] = {
    "id": lambda view: view.event.id,
    "type": lambda view: view.event.type,
    "source": lambda view: view.event.source,
    "subject": lambda view: view.event.subject,
    "time": lambda view: rfc3339(view.event.time_ns),
    "recordedtime": lambda view: rfc3339(view.event.recorded_ns),
    "severitynumber": lambda view: int(view.event.severity),
    "severitytext": lambda view: view.event.severity.name,
    "partitionkey": lambda view: view.event.partitionkey,
    "correlationid": lambda view: view.event.correlationid or MISSING,
    "causationid": lambda view: view.event.causationid or MISSING,
    "dataschema": lambda view: view.event.dataschema,
    "traceparent": lambda view: view.event.traceparent or MISSING,
    "sequence": lambda view: f"{view.event.sequence:020d}",
    "data": lambda view: view.data,
    **{name: _level(place) for place, name in enumerate(_LEVELS)},
    **{name: _place(place) for place, name in enumerate(_PLACES, 2)},
}
"""By name. MISSING: this event has no such thing."""
