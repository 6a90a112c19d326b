"""Runs an exported flow as the platform would, as far as ours use it: look up, decide, create, update, and the way after a fault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from gateway.testkit.servers.salesforce.answers import Unfit
from gateway.testkit.servers.salesforce.records import Org

_NS = "{http://soap.sforce.com/2006/04/metadata}"
_STEPS = 50


class Flow:
    """One flow. `mails` are what the platform would write to the administrator: faults that had no way out."""

    def __init__(self, text: str, org: Org) -> None:
        root = ET.fromstring(text.encode())
        start = root.find(f"{_NS}start")
        if start is None:
            raise ValueError("a flow has a start")
        self.object = _said(start, "object")
        self.trigger = _said(start, "triggerType")
        self.mails: list[str] = []
        self._org, self._start, self._first = org, start, _target(start, "connector")
        self._elements = {name.text: element for element in root if (name := element.find(f"{_NS}name")) is not None}

    def run(self, record: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> None:
        """One interview, if the start's conditions hold; `before` is the record before its change."""
        if not all(_holds(record.get(_said(f, "field")), f, changed=_changed(record, before, _said(f, "field"))) for f in self._filters()):
            return
        found: dict[str, Any] = {"$Record": record}
        name = self._first
        for _ in range(_STEPS):
            if not name:
                return
            element = self._elements[name]
            try:
                name = self._step(name, element, found)
            except Unfit as exc:
                found["$Flow.FaultMessage"] = f"{exc.code}: {exc.message}"
                name = _target(element, "faultConnector")
                if not name:
                    self.mails.append(found["$Flow.FaultMessage"])
        raise RuntimeError("the flow does not end")

    def _filters(self) -> list[ET.Element]:
        return self._start.findall(f"{_NS}filters")

    def _step(self, name: str, element: ET.Element, found: dict[str, Any]) -> str:
        kind = element.tag.removeprefix(_NS)
        if kind == "decisions":
            return self._decide(element, found)
        type_ = _said(element, "object")
        if kind == "recordLookups":
            found[name] = next(iter(self._matching(type_, element, found)), None)
        elif kind == "recordCreates":
            found[name] = self._org.create(type_, self._assigned(element, found))["id"]
        else:
            for record in self._matching(type_, element, found):
                self._org.update(record, self._assigned(element, found))
        return _target(element, "connector")

    def _decide(self, element: ET.Element, found: Mapping[str, Any]) -> str:
        for rule in element.findall(f"{_NS}rules"):
            conditions = rule.findall(f"{_NS}conditions")
            if all(_holds(_value(_said(c, "leftValueReference"), found), c) for c in conditions):
                return _target(rule, "connector")
        return _target(element, "defaultConnector")

    def _matching(self, type_: str, element: ET.Element, found: Mapping[str, Any]) -> list[dict[str, Any]]:
        [condition] = element.findall(f"{_NS}filters")
        wanted = _value(_said(condition, "value/elementReference"), found)
        return self._org.find(type_, _said(condition, "field"), wanted)

    def _assigned(self, element: ET.Element, found: Mapping[str, Any]) -> dict[str, Any]:
        given = {}
        for one in element.findall(f"{_NS}inputAssignments"):
            reference = _said(one, "value/elementReference")
            given[_said(one, "field")] = _value(reference, found) if reference else _said(one, "value/stringValue")
        return {name: value for name, value in given.items() if value is not None}


def _holds(left: Any, condition: ET.Element, *, changed: bool = False) -> bool:
    right = condition.find(f"{_NS}rightValue")
    right = condition.find(f"{_NS}value") if right is None else right
    said = "" if right is None else "".join(right.itertext()).strip()
    match _said(condition, "operator"):
        case "IsNull":
            return (left in (None, "")) == (said == "true")
        case "IsChanged":
            return changed == (said == "true")
        case "Contains":
            return said in str(left or "")
        case "EqualTo":
            return bool(left == said)
        case other:
            raise NotImplementedError(other)


def _changed(record: Mapping[str, Any], before: Mapping[str, Any] | None, field: str) -> bool:
    return before is not None and before.get(field) != record.get(field)


def _value(reference: str, found: Mapping[str, Any]) -> Any:
    if reference in found:
        return found[reference]
    head, _, field = reference.partition(".")
    return (found.get(head) or {}).get(field)


def _said(element: ET.Element, path: str) -> str:
    return element.findtext("/".join(f"{_NS}{part}" for part in path.split("/")), "")


def _target(element: ET.Element, connector: str) -> str:
    return _said(element, f"{connector}/targetReference")
