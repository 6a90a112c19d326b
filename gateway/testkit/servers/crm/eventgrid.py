"""Azure Event Grid: a batch of CloudEvents of at most 1 MB, all or nothing, 413 above."""

from __future__ import annotations

import re
from typing import Any

from gateway.testkit.servers.crm.site import Answer, Seen, Site

MOST_BYTES = 1 << 20
_REQUIRED = ("specversion", "id", "source", "type")
_NAME = re.compile(r"^[a-z0-9]{1,20}$")


class EventGrid(Site):
    """A custom topic. `events` by id, `repeats` counts what came again."""

    def __init__(self, key: str = "sas-key", **given: Any) -> None:
        super().__init__(door=lambda seen: seen.headers.get("aeg-sas-key") == key, **given)
        self.events: dict[str, dict[str, Any]] = {}
        self.repeats = 0
        self.poison: set[str] = set()

    def shut(self, seen: Seen) -> Answer:
        return _error(401, "Unauthorized", "The request authorization key is not authorized for the topic.")

    async def answer(self, seen: Seen) -> Answer:
        path, _, query = seen.path.partition("?")
        if seen.method != "POST" or path != "/api/events" or "api-version=" not in query:
            return _error(404, "NotFound", "no such topic, or api-version is missing")
        if not seen.headers.get("content-type", "").startswith("application/cloudevents-batch+json"):
            return _error(415, "UnsupportedMediaType", "the topic takes CloudEvents")
        if len(seen.body) > MOST_BYTES:
            return _error(413, "RequestEntityTooLarge", "The maximum size (1048576) has been exceeded.")
        events = seen.document
        for event in events:
            if why := self._bad(event):
                return _error(400, "BadRequest", why)
        for event in events:
            self.repeats += event["id"] in self.events
            self.events[event["id"]] = event
        return Answer(200)

    def _bad(self, event: dict[str, Any]) -> str:
        if missing := [name for name in _REQUIRED if not event.get(name)]:
            return f"{missing[0]} is missing"
        if strange := [name for name in event if not _NAME.match(name) and name != "data_base64"]:
            return f"{strange[0]} is no attribute's name"
        return f"{event['id']} is poison" if event["id"] in self.poison else ""


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": code, "message": message}})
