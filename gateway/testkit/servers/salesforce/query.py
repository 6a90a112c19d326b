"""The part of SOQL that asks one object: columns, conditions joined by AND, one order, a limit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.testkit.servers.salesforce.answers import Refused
from gateway.testkit.servers.salesforce.metadata import Field

_WHOLE = re.compile(
    r"\s*SELECT\s+(?P<columns>[\w.,\s]+?)\s+FROM\s+(?P<object>\w+)"
    r"(?:\s+WHERE\s+(?P<where>.+?))?(?:\s+ORDER\s+BY\s+(?P<order>[\w.]+)(?:\s+(?P<way>ASC|DESC))?)?(?:\s+LIMIT\s+(?P<limit>\d+))?\s*",
    re.IGNORECASE | re.DOTALL,
)
_CONDITION = re.compile(r"\s*(?P<field>[\w.]+)\s*(?P<op>!=|>=|<=|=|>|<)\s*(?P<value>'(?:[^'\\]|\\.)*'|[^\s']+)\s*")
_AND = re.compile(r"\s+AND\s+", re.IGNORECASE)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a is not None and a > b,
    ">=": lambda a, b: a is not None and a >= b,
    "<": lambda a, b: a is not None and a < b,
    "<=": lambda a, b: a is not None and a <= b,
}


@dataclass(frozen=True)
class Query:
    columns: tuple[str, ...]
    object: str
    conditions: tuple[tuple[str, str, Any], ...]
    order: str | None
    descending: bool
    limit: int | None

    def run(self, records: Iterable[Mapping[str, Any]], fields: Mapping[str, Field]) -> list[dict[str, Any]]:
        """Records as the API writes them; raises Refused when a field is not there."""
        for name in (*self.columns, *(c[0] for c in self.conditions), *([self.order] if self.order else [])):
            if name.split(".")[0] not in fields:
                raise Refused(400, "INVALID_FIELD", f"No such column '{name}' on entity '{self.object}'")
        for name, _, value in self.conditions:
            if isinstance(value, str) and fields[name.split(".")[0]].kind == "DateTime":
                message = f"value of filter criterion for field '{name}' must be of type dateTime and should not be enclosed in quotes"
                raise Refused(400, "INVALID_FIELD", message)
        found = [r for r in records if all(_OPERATORS[op](_value(r, name, value), value) for name, op, value in self.conditions)]
        if self.order:
            order = self.order
            found.sort(key=lambda r: (r.get(order) is not None, str(r.get(order))), reverse=self.descending)
        return [self._row(record) for record in found[: self.limit]]

    def _row(self, record: Mapping[str, Any]) -> dict[str, Any]:
        row: dict[str, Any] = {"attributes": record["attributes"]}
        for column in self.columns:
            head, _, tail = column.partition(".")
            if tail:
                row.setdefault(head, {"attributes": {"type": "User"}})[tail] = (record.get(head) or {}).get(tail)
            else:
                row[head] = record.get(head)
        return row


def parse(text: str) -> Query:
    """Raises Refused: MALFORMED_QUERY."""
    found = _WHOLE.fullmatch(text)
    if found is None:
        raise Refused(400, "MALFORMED_QUERY", f"unexpected token: {text[:60]}")
    return Query(
        columns=tuple(column.strip() for column in found["columns"].split(",")),
        object=found["object"],
        conditions=tuple(_condition(part) for part in _AND.split(found["where"])) if found["where"] else (),
        order=found["order"],
        descending=(found["way"] or "").upper() == "DESC",
        limit=int(found["limit"]) if found["limit"] else None,
    )


def _condition(text: str) -> tuple[str, str, Any]:
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise Refused(400, "MALFORMED_QUERY", f"unexpected token: {text[:60]}")
    return found["field"], found["op"], _literal(found["value"])


def _literal(text: str) -> Any:
    if text.startswith("'"):
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    if text.lower() in ("null", "true", "false"):
        return {"null": None, "true": True, "false": False}[text.lower()]
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    moment = _moment(text)
    if moment is None:
        raise Refused(400, "MALFORMED_QUERY", f"unexpected token: {text[:60]}")
    return moment


def _moment(text: str) -> datetime | None:
    """A date and time with its zone; the platform takes it without quotes only."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:?\d\d)", text):
        return None
    return datetime.fromisoformat(text).astimezone(UTC)


def _value(record: Mapping[str, Any], name: str, other: object) -> Any:
    value = record.get(name)
    if isinstance(other, datetime) and isinstance(value, str):
        return _moment(value)
    return value
