"""Dynamics 365 / Dataverse: ``UpsertMultiple`` is one transaction, says nothing of single records, and 204 when all went well."""

from __future__ import annotations

import re
from typing import Any

from gateway.testkit.servers.crm.site import Answer, Seen, Site
from gateway.testkit.servers.crm.tables import Refused, Table

_PATH = re.compile(r"^/api/data/v9\.2/(\w+)/Microsoft\.Dynamics\.CRM\.UpsertMultiple$")
_KEY = re.compile(r"^(\w+)\((\w+)='((?:[^']|'')*)'\)$")
_CODES = {"unknown": "0x80048d19", "long": "0x80044331", "poison": "0x80040265"}


class Dataverse(Site):
    """Tables by the name of their set, made on the first write. The key is the alternate key in ``@odata.id``."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.tables: dict[str, Table] = {}

    def table(self, name: str) -> Table:
        return self.tables.setdefault(name, Table())

    def throttle(self, seconds: int) -> None:
        """The next request is one too many."""
        error = {"code": "0x80072322", "message": "Number of requests exceeded the limit of 6000 over time window of 300 seconds."}
        self.script.append(Answer(429, {"error": error}, {"Retry-After": str(seconds)}))

    async def answer(self, seen: Seen) -> Answer:
        found = _PATH.match(seen.path)
        if seen.method != "POST" or found is None:
            return _error(404, "0x80060888", "Resource not found for the segment")
        targets = seen.document.get("Targets")
        if not isinstance(targets, list) or not targets:
            return _error(400, "0x80048d19", "Targets is missing")
        try:
            rows = [_row(target, found[1]) for target in targets]
        except ValueError as exc:
            return _error(400, "0x80048d19", str(exc))
        return self._write(found[1], rows)

    def _write(self, name: str, rows: list[tuple[str, dict[str, Any]]]) -> Answer:
        table = self.table(name)
        if len({key for key, _ in rows}) != len(rows):
            return _error(400, "0x80040237", "A record with matching key values already exists.")
        try:
            for key, fields in rows:
                table.check(key, fields)
        except Refused as exc:
            return _error(400, _CODES[exc.why], f"Error identified in Payload provided by the user: {exc}")
        for key, fields in rows:
            table.upsert(key, fields)
        return Answer(204)


def _row(target: Any, name: str) -> tuple[str, dict[str, Any]]:
    """Raises ValueError."""
    found = _KEY.match(str(target.get("@odata.id", "")))
    if found is None or found[1] != name:
        raise ValueError(f"@odata.id names no row of {name}")
    if not str(target.get("@odata.type", "")).startswith("Microsoft.Dynamics.CRM."):
        raise ValueError("@odata.type is missing")
    return found[3].replace("''", "'"), {key: value for key, value in target.items() if not key.startswith("@odata.")}


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(status, {"error": {"code": code, "message": message}})
