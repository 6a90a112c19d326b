"""A corrected copy of an event: for a receiver that refused it as it was. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.contract import Event, Json
from gateway.events.build import digest
from gateway.events.catalogue import SHIPPED, Catalogue, ContractViolation


def corrected(
    event: Event, changes: Mapping[str, Json], now_ns: int, catalogue: Catalogue = SHIPPED, *, without: Collection[str] = ()
) -> Event:
    """A new event with other data; its `causationid` names the original. The same changes make the same id.

    changes   dotted paths below ``data``, a place in a list by its number: ``{"data.unit": "bar", "data.tags.0": "p"}``
    without   paths of properties that are taken away

    raises ContractViolation   a path leads nowhere, or the data would not fit the event's contract
    raises ValueError          a path does not begin with ``data.``, is both changed and taken away, or there is nothing to do
    """
    if not changes and not without:
        raise ValueError("nothing to change")
    if both := sorted(set(changes) & set(without)):
        raise ValueError(f"{', '.join(both)} cannot be both set and taken away")
    data = msgspec.json.decode(event.data)
    for path, value in changes.items():
        _put(data, _steps(path), value, event.type)
    for path in without:
        _take(data, _steps(path), event.type)
    what = json.dumps(dict(changes), sort_keys=True)
    catalogue.check(event.type, data, _minor(event))
    return replace(
        event,
        id=f"cor-{digest(event.source, event.id, what, *sorted(set(without)))}",
        data=msgspec.json.encode(data),
        causationid=event.id,
        recorded_ns=now_ns,
        sequence=0,
    )


def _steps(path: str) -> list[str]:
    first, *steps = path.split(".")
    if first != "data" or not steps or not all(steps):
        raise ValueError(f"{path!r} is no path below data, such as data.unit")
    return steps


def _put(data: Json, steps: list[str], value: Json, type_: str) -> None:
    """A name that is not there yet is added; everything on the way must be there."""
    node = _above(data, steps, type_)
    key = _key(node, steps[-1])
    if key is None:
        raise _nowhere(type_, steps)
    node[key] = value


def _take(data: Json, steps: list[str], type_: str) -> None:
    """Only a property: without one of its members a list would say something else of all that follow."""
    node = _above(data, steps, type_)
    if not isinstance(node, dict) or steps[-1] not in node:
        raise ContractViolation(type_, _pointer(steps), "there is no such property in the data")
    del node[steps[-1]]


def _above(data: Json, steps: list[str], type_: str) -> Any:
    """What holds the place that is meant."""
    node: Any = data
    for done, step in enumerate(steps[:-1], 1):
        key = _key(node, step)
        if key is None or (isinstance(node, dict) and key not in node):
            raise _nowhere(type_, steps[:done])
        node = node[key]
    return node


def _nowhere(type_: str, steps: list[str]) -> ContractViolation:
    return ContractViolation(type_, _pointer(steps), "there is no such place in the data")


def _pointer(steps: list[str]) -> str:
    return "".join(f"/{step}" for step in steps)


def _key(node: Any, step: str) -> str | int | None:
    if isinstance(node, dict):
        return step
    if isinstance(node, list) and step.isascii() and step.isdigit() and int(step) < len(node):
        return int(step)
    return None


def _minor(event: Event) -> int | None:
    """The minor version it was made by; None (the newest) if its `dataschema` does not say."""
    minor = event.dataschema.removesuffix(".json").rsplit(".", 1)[-1]
    return int(minor) if minor.isascii() and minor.isdigit() else None
