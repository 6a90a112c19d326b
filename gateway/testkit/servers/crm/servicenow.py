"""ServiceNow event management: ``em/jsonv2`` takes records, keeps one alert per `message_key`, and drops fields it does not know."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from gateway.testkit.servers.crm.site import Answer, Seen, Site

KNOWN = frozenset(
    {"source", "event_class", "node", "resource", "type", "metric_name", "severity", "description", "message_key"}
    | {"additional_info", "time_of_event", "resolution_state"}
)


class ServiceNow(Site):
    """`alerts` by message key: the fields that were understood, of the latest event, and how many there were."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.alerts: dict[str, dict[str, Any]] = {}
        self.poison: set[str] = set()

    def throttle(self, seconds: int) -> None:
        self.script.append(Answer(429, {"error": {"message": "Rate limit exceeded"}}, {"Retry-After": str(seconds)}))

    def shut(self, seen: Seen) -> Answer:
        detail = "Required to provide Auth information"
        return Answer(401, {"error": {"message": "User Not Authenticated", "detail": detail}, "status": "failure"})

    async def answer(self, seen: Seen) -> Answer:
        if seen.method != "POST" or seen.path != "/api/global/em/jsonv2":
            return _error(404, "Requested URI does not represent any resource")
        records = seen.document.get("records")
        if not isinstance(records, list):
            return _error(400, "records is missing")
        if bad := next((why for record in records if (why := self._bad(record))), ""):
            return _error(400, bad)
        for record in records:
            known = {name: value for name, value in record.items() if name in KNOWN}
            before = self.alerts.get(record["message_key"], {"count": 0})
            self.alerts[record["message_key"]] = {**before, **known, "count": before["count"] + 1}
        return Answer(200, {"result": {"Default Bulk Endpoint": f"{len(records)} events were inserted"}})

    def _bad(self, record: dict[str, Any]) -> str:
        """Why the whole request is refused; empty: it is not."""
        if not record.get("message_key") or record["message_key"] in self.poison:
            return f"Invalid record: {record.get('message_key')}"
        if str(record.get("severity")) not in {"0", "1", "2", "3", "4", "5"}:
            return "severity must be 0 to 5"
        try:
            json.loads(record.get("additional_info", "{}"))
        except (TypeError, ValueError):
            return "additional_info must be a JSON string"
        return ""


def basic(user: str, password: str) -> Callable[[Seen], bool]:
    """A door for this user."""
    wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return lambda seen: seen.headers.get("authorization") == wanted


def _error(status: int, message: str) -> Answer:
    return Answer(status, {"error": {"message": message, "detail": ""}, "status": "failure"})
