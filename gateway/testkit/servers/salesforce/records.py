"""Records and events: what fits, what is stored, what an upsert does."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from gateway.testkit.servers.salesforce.answers import Unfit, not_found
from gateway.testkit.servers.salesforce.faults import Faults
from gateway.testkit.servers.salesforce.limits import Limits
from gateway.testkit.servers.salesforce.login import USER
from gateway.testkit.servers.salesforce.metadata import Field

EVENT_BYTES = 1_048_576
CLOSED = ("Closed",)
# Milliseconds at most, and a time zone: what the platform's parser takes.
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:?\d\d)")
_PREFIX = {"Case": "500"}


@dataclass
class Org:
    """All data. `events` are in order of publishing, repeated ones too: the platform does not know them again.

    published   called with each new event, saved with each record and what it was before (the org's flows)
    may_create  objects the user may write; None: all
    """

    objects: Mapping[str, Mapping[str, Field]]
    limits: Limits
    faults: Faults
    now: Callable[[], float]
    published: Callable[[dict[str, Any]], None] = lambda _: None
    saved: Callable[[dict[str, Any], dict[str, Any]], None] = lambda _new, _old: None
    may_create: set[str] | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    _count: int = 0

    def fields(self, type_: str) -> Mapping[str, Field]:
        """Raises Unfit: no such object."""
        for name, fields in self.objects.items():
            if name.lower() == type_.lower():
                return fields
        raise Unfit("INVALID_TYPE", f"sObject type '{type_}' is not supported.")

    def create(self, type_: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """A SaveResult; raises Unfit."""
        values = self._fitting(type_, given, new=True)
        if type_.endswith("__e"):
            return self._publish(type_, values)
        for name, spec in self.fields(type_).items():
            if spec.external_id and values.get(name) is not None and (there := self.find(type_, name, values[name])):
                message = f"duplicate value found: {name} duplicates value on record with id: {there[0]['Id']}"
                raise Unfit("DUPLICATE_VALUE", message, [])
        record = self._store(type_, {"Id": self._id(type_)}, values)
        return {"id": record["Id"], "success": True, "errors": []}

    def update(self, record: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        values = self._fitting(record["attributes"]["type"], given, new=False)
        self._store(record["attributes"]["type"], record, values)
        return {"id": record["Id"], "success": True, "errors": []}

    def upsert(self, type_: str, key: str, value: object, given: Mapping[str, Any]) -> dict[str, Any]:
        """An UpsertResult; raises Unfit, and Refused when the field is no external id."""
        spec = self.fields(type_).get(key)
        if spec is None or not spec.external_id:
            raise not_found()
        found = self.find(type_, key, value)
        if len(found) > 1:
            raise Unfit("DUPLICATE_EXTERNAL_ID", f"{key}: more than one record found for external id field", [key])
        if found:
            return {**self.update(found[0], given), "created": False}
        return {**self.create(type_, {**given, key: value}), "created": True}

    def find(self, type_: str, key: str, value: object) -> list[dict[str, Any]]:
        return [r for r in self.records.values() if r["attributes"]["type"] == type_ and r.get(key) == value]

    def _publish(self, type_: str, values: dict[str, Any]) -> dict[str, Any]:
        size = len(str(values).encode())
        if size > EVENT_BYTES:
            raise Unfit("PAYLOAD_SIZE_EXCEEDED", f"The event's size of {size} bytes is above the limit of {EVENT_BYTES} bytes")
        if not self.limits.publish(self.now()):
            raise Unfit("LIMIT_EXCEEDED", "You have exceeded your limit for hourly published events")
        uuid = str(uuid4())
        event = {"attributes": {"type": type_}, "EventUuid": uuid, **values}
        self.events.append(event)
        self.published(event)
        queued = {"statusCode": "OPERATION_ENQUEUED", "message": uuid, "fields": []}
        return {"id": self._id(type_), "success": True, "errors": [queued]}

    def _store(self, type_: str, record: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
        now, before = stamp(self.now()), dict(record)
        record.setdefault("attributes", {"type": type_, "url": f"/services/data/v66.0/sobjects/{type_}/{record['Id']}"})
        record.setdefault("CreatedDate", now)
        record.setdefault("Status", "New")
        record.setdefault("CaseNumber", f"{len(self.records) + 1:08d}")
        record.update(values)
        record["IsClosed"] = record["Status"] in CLOSED
        record.update(LastModifiedDate=now, SystemModstamp=now, LastModifiedById=USER)
        record["LastModifiedBy"] = {"Name": "Service", "Username": "service@acme.example"}
        self.records[record["Id"]] = record
        if "CreatedDate" in before:
            self.saved(record, before)
        return record

    def _id(self, type_: str) -> str:
        self._count += 1
        return f"{'e01' if type_.endswith('__e') else _PREFIX.get(type_, 'a00')}{self._count:012d}AAA"

    def _fitting(self, type_: str, given: Mapping[str, Any], *, new: bool) -> dict[str, Any]:
        fields = self.fields(type_)
        if self.may_create is not None and type_ not in self.may_create:
            raise Unfit("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id")
        self.faults.of_record(given)
        values = {name: value for name, value in given.items() if name != "attributes"}
        for name in values:
            if name not in fields:
                raise Unfit("INVALID_FIELD", f"No such column '{name}' on sobject of type {type_}", [name])
        missing = [f.name for f in fields.values() if f.required and (new or f.name in values) and values.get(f.name) in (None, "")]
        if missing:
            raise Unfit("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(missing)}]", missing)
        for name, value in values.items():
            if value is not None:
                _check(fields[name], value)
        return {name: None if value == "" else value for name, value in values.items()}


def _check(spec: Field, value: object) -> None:
    """Raises Unfit when a value does not fit its field."""
    if spec.readonly:
        raise Unfit("INVALID_FIELD_FOR_INSERT_UPDATE", f"Unable to create/update fields: {spec.name}", [spec.name])
    match spec.kind:
        case "Number":
            _number(spec, value)
        case "DateTime":
            if not isinstance(value, str) or not _TIME.fullmatch(value):
                raise Unfit("JSON_PARSER_ERROR", f"Cannot deserialize instance of datetime from VALUE_STRING value {value}", [spec.name])
        case _:
            if not isinstance(value, str):
                kind = type(value).__name__
                raise Unfit("JSON_PARSER_ERROR", f"Cannot deserialize instance of string from a value of type {kind}", [spec.name])
            if spec.values and value not in spec.values:
                raise Unfit("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", f"bad value for restricted picklist field: {value}", [spec.name])
            if spec.length and len(value) > spec.length:
                message = f"{spec.name}: data value too large: {value[:40]} (max length={spec.length})"
                raise Unfit("STRING_TOO_LONG", message, [spec.name])


def _number(spec: Field, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unfit("JSON_PARSER_ERROR", f"Cannot deserialize instance of double from VALUE_STRING value {value}", [spec.name])
    if abs(value) >= 10 ** (spec.length - spec.scale):
        raise Unfit("NUMBER_OUTSIDE_VALID_RANGE", f"{spec.name}: value outside of valid range on numeric field: {value}", [spec.name])


def stamp(seconds: float) -> str:
    """How the platform writes a time: to the second."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.000+0000"
