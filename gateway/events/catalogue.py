"""The catalogue of contracts: which JSON Schema holds for which event type.

A type is ``io.lineside.<domain>.<past tense>.v<major>``. Incidents of every domain share one schema, a fact may have
its own (``order.milestone_reached``) and falls back to the general one. Keywords are the common subset of draft-07
and 2020-12.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import fastjsonschema

from gateway.contract import Json

PREFIX = "io.lineside"
MAJOR, MINOR = 1, 0
INCIDENT_STATES = ("raised", "updated", "cleared")
_REGISTRY_URL = "https://lineside.example/contracts"


class ContractViolation(Exception):
    """An event does not fit its contract; `pointer` is the JSON pointer (RFC 6901) of the place, empty for the whole."""

    def __init__(self, type_: str, pointer: str, problem: str) -> None:
        super().__init__(f"{type_}: {pointer}: {problem}")
        self.pointer = pointer


def event_type(domain: str, happening: str) -> str:
    """
    >>> event_type("limit", "raised")
    'io.lineside.limit.raised.v1'
    """
    return f"{PREFIX}.{domain}.{happening}.v{MAJOR}"


def dataschema(type_: str) -> str:
    """URL under which the gateway serves the contract and consumers may cache it."""
    return f"{_REGISTRY_URL}/{type_.rsplit('.', 1)[0]}/{MAJOR}.{MINOR}.json"


def own_types() -> list[str]:
    """Types that have a contract file of their own."""
    stems = [file.name.removesuffix(".schema.json") for file in _folder().iterdir() if file.name.endswith(".schema.json")]
    return sorted(event_type(*stem.split(".")) for stem in stems if "." in stem)


@cache
def schema(type_: str) -> dict[str, Json]:
    """The JSON Schema of a type, with its own `$id` and with `state` narrowed to the type's."""
    found: dict[str, Json] = json.loads(_file(type_).read_text(encoding="utf-8"))
    found["$id"] = dataschema(type_)
    happening = type_.split(".")[-2]
    if happening in INCIDENT_STATES:
        found["properties"]["state"] = {"type": "string", "const": happening}
    return found


def check(type_: str, data: Json) -> None:
    """Raises ContractViolation when `data` does not fit the contract of `type_`."""
    try:
        _validator(type_)(data)
    except fastjsonschema.JsonSchemaValueException as exc:
        pointer = "".join(f"/{part}" for part in exc.path[1:])
        raise ContractViolation(type_, pointer, exc.message) from exc


@cache
def _validator(type_: str) -> Callable[[Json], Json]:
    compiled: Callable[[Json], Json] = fastjsonschema.compile(schema(type_))
    return compiled


def _folder() -> Any:
    return files("gateway.events") / "contracts"


def _file(type_: str) -> Any:
    domain, happening = type_.split(".")[-3:-1]
    folder = _folder()
    own = folder / f"{domain}.{happening}.schema.json"
    if own.is_file():
        return own
    return folder / ("incident.schema.json" if happening in INCIDENT_STATES else "fact.schema.json")
