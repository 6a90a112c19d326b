"""SAP Event Mesh: one message per request to a topic whose name stands encoded in the path; ``x-qos`` is required."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from gateway.testkit.servers.crm.site import Answer, Seen, Site

_PATH = re.compile(r"^/messagingrest/v1/topics/([^/?]+)/messages$")


class SapEventMesh(Site):
    """`messages`: topic and body, in the order they came; it knows no duplicates."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.messages: list[tuple[str, Any]] = []

    async def answer(self, seen: Seen) -> Answer:
        found = _PATH.match(seen.path)
        if seen.method != "POST" or found is None:
            return Answer(404, {"message": "no such resource"})
        if seen.headers.get("x-qos") not in ("0", "1"):
            return Answer(400, {"message": "Header x-qos is missing"})
        self.messages.append((unquote(found[1]), seen.document))
        return Answer(204)
