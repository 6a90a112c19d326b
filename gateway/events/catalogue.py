"""The catalogue of contracts: which JSON Schema holds for which event type, in which version.

A type is ``io.lineside.<domain>.<past tense>.v<major>``. A folder per contract holds one schema per version
(``1.0.schema.json``), with valid and invalid examples beside it. Incidents of every domain share the contract
`incident`; a fact may have its own (``order.milestone_reached``) and falls back to `fact`. Keywords are the common
subset of draft-07 and 2020-12. Two majors may stand side by side; every released minor stays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, NamedTuple

import fastjsonschema

from gateway.contract import Event, Json
from gateway.events.quick import quick

PREFIX = "io.lineside"
INCIDENT_STATES = ("raised", "updated", "cleared")
RECEIVED = "feedback"
"""The domain of what is sent to us; everything else is sent by us."""
REGISTRY_URL = "https://lineside.example/contracts"
DEVICE = "device"
"""The domain of incidents of devices themselves: no detector's, but the gateway's."""
GATEWAY = "gateway"
"""The domain of incidents of the gateway itself."""
_SUFFIX = ".schema.json"
_SHARED = ("incident", "fact")
_TYPE = re.compile(r"io\.lineside\.([^.]+)\.(.+)\.v([1-9][0-9]{0,3})")


class ContractViolation(Exception):
    """An event does not fit its contract.

    pointer   JSON pointer (RFC 6901) of the place, empty for the whole
    event     the event as it would have been, if it came so far
    """

    def __init__(self, type_: str, pointer: str, problem: str) -> None:
        super().__init__(f"{type_}: {pointer}: {problem}")
        self.type, self.pointer, self.problem = type_, pointer, problem
        self.event: Event | None = None


class Version(NamedTuple):
    """
    >>> str(Version(1, 10)), Version(1, 10) > Version(1, 9)
    ('1.10', True)
    """

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


class Catalogue:
    """One folder of contracts. Raises LookupError for a type that has no contract."""

    def __init__(self, folder: Traversable) -> None:
        self.folder = folder
        self._versions = {entry.name: _versions(entry) for entry in sorted(folder.iterdir(), key=_name) if entry.is_dir()}
        self._schemas: dict[tuple[str, int | None], dict[str, Json]] = {}
        self._validators: dict[tuple[str, int | None], Callable[[Json], Json]] = {}
        self._quick: dict[tuple[str, int | None], Callable[[Json], bool]] = {}
        self._newest: dict[tuple[str, str], int] = {}
        self._urls: dict[tuple[str, int | None], str] = {}

    def contracts(self) -> dict[str, tuple[Version, ...]]:
        """Versions of each contract, oldest first."""
        return dict(self._versions)

    def event_type(self, domain: str, happening: str, major: int | None = None) -> str:
        """Of the newest major, unless another is asked for."""
        if major is None:
            key = (domain, happening)
            major = self._newest.get(key) or self._newest.setdefault(key, self._newest_major(domain, happening))
        return f"{PREFIX}.{domain}.{happening}.v{major}"

    def _newest_major(self, domain: str, happening: str) -> int:
        names = _candidates(domain, happening)
        return max(version.major for name in names if name in self._versions for version in self._versions[name])

    def contract(self, type_: str) -> str:
        """Name of the contract that holds for a type."""
        domain, happening, major = _parts(type_)
        for name in _candidates(domain, happening):
            if any(version.major == major for version in self._versions.get(name, ())):
                return name
        raise LookupError(f"{type_} has no contract")

    def versions(self, type_: str) -> list[Version]:
        """Of the type's major, oldest first."""
        major = _parts(type_)[2]
        return [version for version in self._versions[self.contract(type_)] if version.major == major]

    def dataschema(self, type_: str, minor: int | None = None) -> str:
        """URL under which the gateway serves the contract and consumers may cache it."""
        key = (type_, minor)
        if key not in self._urls:
            self._urls[key] = f"{REGISTRY_URL}/{type_.rsplit('.', 1)[0]}/{self._version(type_, minor)}.json"
        return self._urls[key]

    def _version(self, type_: str, minor: int | None) -> Version:
        versions = self.versions(type_)
        if minor is None:
            return versions[-1]
        if (found := Version(versions[0].major, minor)) not in versions:
            raise LookupError(f"{type_} has no contract {found}")
        return found

    def schema(self, type_: str, minor: int | None = None) -> dict[str, Json]:
        """The JSON Schema of a type, with its own `$id` and with `state` narrowed to the type's. Not to be changed."""
        key = (type_, minor)
        if key not in self._schemas:
            self._schemas[key] = self._read(type_, minor)
        return self._schemas[key]

    def _read(self, type_: str, minor: int | None) -> dict[str, Json]:
        name = self.contract(type_)
        found: dict[str, Json] = json.loads(self.file(name, self._version(type_, minor)).read_text(encoding="utf-8"))
        found["$id"] = self.dataschema(type_, minor)
        happening = _parts(type_)[1]
        if name == "incident":
            found["properties"]["state"] = {"type": "string", "const": happening}
        return found

    def file(self, name: str, version: Version) -> Traversable:
        """A contract's schema as it was released."""
        return self.folder / name / f"{version}{_SUFFIX}"

    def check(self, type_: str, data: Json, minor: int | None = None) -> None:
        """Raises ContractViolation when `data` does not fit the contract of `type_`, or when it has none."""
        try:
            if not self._surely(type_, minor)(data):
                self._validator(type_, minor)(data)
        except LookupError as exc:
            raise ContractViolation(type_, "", str(exc)) from exc
        except fastjsonschema.JsonSchemaValueException as exc:
            raise ContractViolation(type_, pointer(str(exc.name), data), exc.message) from exc

    def _surely(self, type_: str, minor: int | None) -> Callable[[Json], bool]:
        key = (type_, minor)
        return self._quick.get(key) or self._quick.setdefault(key, quick(self.schema(type_, minor)))

    def _validator(self, type_: str, minor: int | None) -> Callable[[Json], Json]:
        key = (type_, minor)
        if key not in self._validators:
            self._validators[key] = fastjsonschema.compile(self.schema(type_, minor))
        return self._validators[key]

    def own_types(self) -> list[str]:
        """Types we send that have a contract of their own, every major."""
        return [type_ for type_ in self._own() if type_.split(".")[2] != RECEIVED]

    def received_types(self) -> list[str]:
        """Types that are sent to us."""
        return [type_ for type_ in self._own() if type_.split(".")[2] == RECEIVED]

    def _own(self) -> list[str]:
        majors = {(name, version.major) for name, versions in self._versions.items() if name not in _SHARED for version in versions}
        return sorted(f"{PREFIX}.{name}.v{major}" for name, major in majors)

    def incident_types(self, domains: set[str]) -> list[str]:
        """Three types per domain and major."""
        majors = {version.major for version in self._versions["incident"]}
        return sorted(self.event_type(domain, state, major) for domain in domains for state in INCIDENT_STATES for major in majors)


def pointer(name: str, data: Json) -> str:
    """What the validator calls ``data.tags[1]`` as a JSON pointer; keys that hold dots are found in the data.

    >>> pointer("data.by_type.io.lineside.v1", {"by_type": {"io.lineside.v1": "x"}}), pointer("data.a[0]", {"a": [1]})
    ('/by_type/io.lineside.v1', '/a/0')
    """
    rest, node, found = name.removeprefix("data"), data, ""
    while rest:
        key = _next(rest, node)
        rest = rest[len(key) + (1 if rest[0] == "." else 2) :]
        node = node.get(key) if isinstance(node, dict) else node[int(key)] if isinstance(node, list) and key.isdigit() else None
        found += "/" + key.replace("~", "~0").replace("/", "~1")
    return found


def _next(rest: str, node: Json) -> str:
    if rest[0] == "[":
        return rest[1:].partition("]")[0]
    keys = [key for key in node if rest[1:] == key or rest[1:].startswith((f"{key}.", f"{key}["))] if isinstance(node, dict) else []
    return max(keys, key=len) if keys else rest[1:]


def _parts(type_: str) -> tuple[str, str, int]:
    found = _TYPE.fullmatch(type_)
    if found is None:
        raise LookupError(f"{type_[:200]!r} is no event type")
    return found[1], found[2], int(found[3])


def _candidates(domain: str, happening: str) -> tuple[str, str]:
    return f"{domain}.{happening}", "incident" if happening in INCIDENT_STATES else "fact"


def _versions(folder: Traversable) -> tuple[Version, ...]:
    stems = [entry.name.removesuffix(_SUFFIX) for entry in folder.iterdir() if entry.name.endswith(_SUFFIX)]
    return tuple(sorted(Version(*map(int, stem.split("."))) for stem in stems))


def _name(entry: Any) -> str:
    return str(entry.name)


SHIPPED = Catalogue(files("gateway.events") / "contracts")
check, dataschema, event_type, own_types, schema = (
    SHIPPED.check,
    SHIPPED.dataschema,
    SHIPPED.event_type,
    SHIPPED.own_types,
    SHIPPED.schema,
)
