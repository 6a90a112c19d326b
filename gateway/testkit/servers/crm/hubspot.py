"""HubSpot: batches of 100, results in no order, 207 with the failures beside the results, two kinds of 429."""

from __future__ import annotations

import re
from typing import Any

from gateway.testkit.servers.crm.site import Answer, Seen, Site
from gateway.testkit.servers.crm.tables import Refused, Table

_PATH = re.compile(r"^/crm/objects/2026-03/([\w-]+)/batch/upsert$")
MOST = 100


class HubSpot(Site):
    """Tables by the name of their object. With `objectWriteTraceId` each input stands alone; without, one that is bad refuses all."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.tables: dict[str, Table] = {}

    def table(self, name: str) -> Table:
        return self.tables.setdefault(name, Table())

    def throttle(self, policy: str) -> None:
        """The next request is one too many; `policy` is DAILY or TEN_SECONDLY."""
        body = {"status": "error", "message": f"You have reached your {policy} limit.", "errorType": "RATE_LIMIT", "policyName": policy}
        self.script.append(Answer(429, body))

    def shut(self, seen: Seen) -> Answer:
        return Answer(401, {"status": "error", "message": "Authentication credentials not found", "category": "INVALID_AUTHENTICATION"})

    async def answer(self, seen: Seen) -> Answer:
        found = _PATH.match(seen.path)
        if seen.method != "POST" or found is None:
            return _error(404, "OBJECT_NOT_FOUND", "resource not found")
        inputs = seen.document.get("inputs")
        if not isinstance(inputs, list) or not 1 <= len(inputs) <= MOST:
            return _error(400, "VALIDATION_ERROR", f"The maximum number of inputs is {MOST}")
        if len({each.get("id") for each in inputs}) != len(inputs):
            return _error(400, "VALIDATION_ERROR", "Duplicate IDs found in batch input")
        traced = all(each.get("objectWriteTraceId") for each in inputs)
        return self._each(self.table(found[1]), inputs) if traced else self._all(self.table(found[1]), inputs)

    def _each(self, table: Table, inputs: list[dict[str, Any]]) -> Answer:
        results, errors = [], []
        for each in inputs:
            try:
                results.append(_result(table, each))
            except Refused as exc:
                errors.append(_failure(each, exc))
        body: dict[str, Any] = {"status": "COMPLETE", "results": results[::-1]}
        if errors:
            body |= {"numErrors": len(errors), "errors": errors}
        return Answer(207 if errors else 200, body)

    def _all(self, table: Table, inputs: list[dict[str, Any]]) -> Answer:
        try:
            for each in inputs:
                table.check(each["id"], each["properties"])
        except Refused as exc:
            return _error(400, "VALIDATION_ERROR", f"Property values were not valid: {exc}")
        return Answer(200, {"status": "COMPLETE", "results": [_result(table, each) for each in inputs][::-1]})


def _result(table: Table, each: dict[str, Any]) -> dict[str, Any]:
    """Raises Refused."""
    if not each.get("idProperty") or not each.get("id"):
        raise Refused("unknown", "idProperty")
    new = table.upsert(each["id"], each["properties"])
    found = {"id": str(10_000 + len(table.rows)), "new": new, "properties": {**each["properties"], each["idProperty"]: each["id"]}}
    if trace := each.get("objectWriteTraceId"):
        found["objectWriteTraceId"] = trace
    return found


def _failure(each: dict[str, Any], exc: Refused) -> dict[str, Any]:
    category = {"unknown": "PROPERTY_DOESNT_EXIST", "long": "INVALID_LENGTH", "poison": "VALIDATION_ERROR"}[exc.why]
    context: dict[str, Any] = {"ids": [each.get("id")], "objectWriteTraceId": [each.get("objectWriteTraceId")]}
    if exc.column:
        context["propertyName"] = [exc.column]
    return {"status": "error", "category": category, "message": f"Property values were not valid: {exc}", "context": context}


def _error(status: int, category: str, message: str) -> Answer:
    return Answer(status, {"status": "error", "category": category, "message": message})
