"""The resources under ``/services/data/vXX.X``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

from gateway.testkit.servers.salesforce import query
from gateway.testkit.servers.salesforce.answers import Refused, Unfit, not_found
from gateway.testkit.servers.salesforce.limits import Limits
from gateway.testkit.servers.salesforce.records import Org

_MOST, _CHUNKS = 200, 10
_NAME = r"([A-Za-z]\w*)"
_VALUE = r"([^/]+)"


class Api:
    """One call in, status and JSON out; raises Refused.

    page     records of one page of a query
    whole    True: an unknown field refuses the whole collection, not its record alone
    """

    def __init__(self, org: Org, limits: Limits, now: Callable[[], float]) -> None:
        self._org, self._limits, self._now = org, limits, now
        self.page = 2000
        self.whole = False
        self._pages: dict[str, list[dict[str, Any]]] = {}
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., tuple[int, Any]]]] = [
            (method, re.compile(path), handler)
            for method, path, handler in (
                ("GET", r"/", self._root),
                ("GET", r"/limits/?", self._say_limits),
                ("GET", r"/query/?", self._query),
                ("GET", r"/query/([\w-]+)", self._more),
                ("POST", r"/composite/sobjects/?", self._create_many),
                ("PATCH", rf"/composite/sobjects/{_NAME}/{_NAME}", self._upsert_many),
                ("GET", rf"/sobjects/{_NAME}/describe/?", self._describe),
                ("POST", rf"/sobjects/{_NAME}/?", self._create),
                ("PATCH", rf"/sobjects/{_NAME}/(?!Id/){_NAME}/{_VALUE}", self._upsert),
                ("GET", rf"/sobjects/{_NAME}/{_VALUE}", self._read),
                ("PATCH", rf"/sobjects/{_NAME}/{_VALUE}", self._update),
            )
        ]

    def answer(
        self, method: str, version: str, path: str, asked: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Any]:
        self._base, self._asked, self._headers, self._body = f"/services/data/v{version}.0", asked, headers, body
        there = [(verb, found, handler) for verb, pattern, handler in self._routes if (found := pattern.fullmatch(path))]
        for verb, found, handler in there:
            if verb == method:
                return handler(*map(unquote, found.groups()))
        if there:
            raise Refused(405, "METHOD_NOT_ALLOWED", f"HTTP Method '{method}' not allowed. Allowed are {there[0][0]}")
        raise not_found()

    def _json(self) -> Any:
        if "json" not in self._headers.get("Content-Type", ""):
            raise Refused(415, "UNSUPPORTED_MEDIA_TYPE", "Content type is not supported: " + self._headers.get("Content-Type", ""))
        try:
            return json.loads(self._body)
        except ValueError as exc:
            raise Refused(400, "JSON_PARSER_ERROR", f"Unexpected character at [line:1, column:1]: {exc}") from exc

    def _root(self) -> tuple[int, Any]:
        return 200, {name: f"{self._base}/{name}" for name in ("composite", "limits", "query", "sobjects")}

    def _say_limits(self) -> tuple[int, Any]:
        if not self._limits.may_see:
            raise Refused(403, "INSUFFICIENT_ACCESS", "You do not have the permission to see limits")
        return 200, self._limits.document(self._now())

    def _create(self, type_: str) -> tuple[int, Any]:
        try:
            self._org.fields(type_)
        except Unfit as exc:
            raise not_found() from exc
        try:
            return 201, self._org.create(type_, _record(self._json()))
        except Unfit as exc:
            raise exc.whole() from exc

    def _upsert(self, type_: str, key: str, value: str) -> tuple[int, Any]:
        """201 created, 200 updated, 300 more than one has the id."""
        if len(found := self._org.find(type_, key, value)) > 1:
            return 300, [record["attributes"]["url"] for record in found]
        if not found and self._asked.get("updateOnly") == "true":
            raise not_found()
        try:
            result = self._org.upsert(type_, key, value, _record(self._json()))
        except Unfit as exc:
            raise exc.whole() from exc
        return (201 if result["created"] else 200), result

    def _read(self, type_: str, id_: str) -> tuple[int, Any]:
        record = self._org.records.get(id_)
        if record is None or record["attributes"]["type"] != type_:
            raise not_found()
        return 200, record

    def _update(self, type_: str, id_: str) -> tuple[int, Any]:
        _, record = self._read(type_, id_)
        try:
            self._org.update(record, _record(self._json()))
        except Unfit as exc:
            raise exc.whole() from exc
        return 204, None

    def _create_many(self) -> tuple[int, Any]:
        records, all_or_none = self._collection()
        types = [str(record.get("attributes", {}).get("type", "")) for record in records]
        if not all(types):
            raise Refused(400, "INVALID_INPUT", "The attributes of each record must hold its type")
        if 1 + sum(a != b for a, b in pairwise(types)) > _CHUNKS:
            raise Refused(400, "TOO_MANY_CHUNKS", f"Only {_CHUNKS} chunks of one type are allowed in a request")
        return 200, self._each(records, all_or_none, lambda i: self._org.create(types[i], records[i]))

    def _upsert_many(self, type_: str, key: str) -> tuple[int, Any]:
        records, all_or_none = self._collection()
        keys = [record.get(key) for record in records]

        def one(i: int) -> dict[str, Any]:
            if keys[i] in (None, ""):
                raise Unfit("MISSING_ARGUMENT", f"{key} not specified", [])
            if keys.count(keys[i]) > 1:
                raise Unfit("DUPLICATE_VALUE", f"Duplicate external id specified: {keys[i]}", [key])
            return self._org.upsert(type_, key, keys[i], records[i])

        return 200, self._each(records, all_or_none, one)

    def _collection(self) -> tuple[list[dict[str, Any]], bool]:
        given = self._json()
        records = given.get("records") if isinstance(given, dict) else None
        if not isinstance(records, list) or not records or not all(isinstance(record, dict) for record in records):
            raise Refused(400, "JSON_PARSER_ERROR", "The property 'records' must be a list of records")
        if len(records) > _MOST:
            raise Refused(400, "EXCEEDED_ID_LIMIT", f"record limit reached. cannot submit more than {_MOST} records into this call")
        if unknown := set(given) - {"records", "allOrNone"}:
            raise Refused(400, "JSON_PARSER_ERROR", f'Unrecognized field "{min(unknown)}"')
        return records, bool(given.get("allOrNone", False))

    def _each(self, records: list[dict[str, Any]], all_or_none: bool, one: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
        """Results in the order of the records; with all_or_none nothing stays when one is refused."""
        kept = (deepcopy(self._org.records) if all_or_none else {}, len(self._org.events))
        results = []
        for i in range(len(records)):
            try:
                results.append(one(i))
            except Unfit as exc:
                if self.whole and exc.code == "INVALID_FIELD":
                    raise exc.whole() from exc
                results.append(exc.result())
        if all_or_none and not all(result["success"] for result in results):
            self._org.records, self._org.events[kept[1] :] = kept[0], []
            halted = Unfit("ALL_OR_NONE_OPERATION_ROLLED_BACK", "Record rolled back because not all records were valid")
            return [halted.result() if result["success"] else result for result in results]
        return results

    def _describe(self, type_: str) -> tuple[int, Any]:
        try:
            fields = self._org.fields(type_)
        except Unfit as exc:
            raise not_found() from exc
        may = self._org.may_create is None or type_ in self._org.may_create
        said = [
            {
                "name": field.name,
                "length": field.length,
                "createable": may and not field.readonly,
                "nillable": not field.required,
                "externalId": field.external_id,
            }
            for field in fields.values()
        ]
        return 200, {"name": type_, "createable": may, "updateable": may and not type_.endswith("__e"), "fields": said}

    def _query(self) -> tuple[int, Any]:
        asked = query.parse(self._asked.get("q", ""))
        try:
            fields = self._org.fields(asked.object)
        except Unfit as exc:
            raise Refused(400, "INVALID_TYPE", f"sObject type '{asked.object}' is not supported.") from exc
        records = [r for r in self._org.records.values() if r["attributes"]["type"] == asked.object]
        return self._paged(asked.run(records, fields), 0, f"01g{len(self._pages):012d}AAA")

    def _more(self, cursor: str) -> tuple[int, Any]:
        name, _, first = cursor.rpartition("-")
        if name not in self._pages:
            raise Refused(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._paged(self._pages[name], int(first), name)

    def _paged(self, rows: list[dict[str, Any]], first: int, name: str) -> tuple[int, Any]:
        self._pages[name] = rows
        last = first + self.page
        answer: dict[str, Any] = {"totalSize": len(rows), "done": last >= len(rows), "records": rows[first:last]}
        if not answer["done"]:
            answer["nextRecordsUrl"] = f"{self._base}/query/{name}-{last}"
        return 200, answer


def _record(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise Refused(400, "JSON_PARSER_ERROR", "a record is expected")
    return given
