"""What a server has, as rows of a `tags_from` file. Reads only, in portions the server takes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from asyncua import ua

from drivers.opcua import ask
from drivers.opcua.config import OpcuaOptions
from drivers.opcua.refusal import FAILURES, why
from drivers.opcua.resolve import OBJECTS, Names
from drivers.opcua.session import Session
from gateway.contract import Found, NotConnected, SourceContext

DEEPEST, MOST_NODES = 20, 200_000
_PROPERTY = ua.NodeId(ask.IDS.HasProperty)
_ABOUT_ITSELF = ua.NodeId(ask.IDS.Server)
_WORDS = ("boolean", "sbyte", "byte", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float", "double", "string", "datetime")
_NUMBERS = dict(enumerate(_WORDS, start=1)) | {26: "number", 27: "integer", 28: "uinteger", 29: "enumeration"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A variable, and the path it was reached by."""

    path: str
    node: Any
    name: str


async def browse(options: OpcuaOptions, context: SourceContext, globs: str) -> AsyncIterator[Found]:
    """Variables below Objects whose path fits one of `globs` (``Objects/*/Spindle/*``, several with commas; empty: all).

    The server's own diagnostics below Objects/Server are left out unless a glob names them. Raises NotConnected.
    """
    session = Session(options, context)
    try:
        await session.open()
        limits = await ask.limits(session)
        names = await Names.of(session, limits)
        taken: set[str] = set()
        async for group in _variables(session, limits, [glob.strip() for glob in globs.split(",") if glob.strip()]):
            for found in await _told(session, limits, names, group, taken):
                yield found
    except FAILURES as exc:
        raise NotConnected(options.peer, why(exc, options, session.own_file, session.server, opening=True)) from exc
    finally:
        await session.close()


async def _variables(session: Session, limits: ask.Limits, globs: Sequence[str]) -> AsyncIterator[list[Seen]]:
    """Level by level; each node once, however many ways lead to it."""
    level, known = {OBJECTS: "Objects"}, {OBJECTS}
    about_itself = any("Server" in glob for glob in globs)
    for _ in range(DEEPEST):
        below: dict[Any, str] = {}
        found: list[Seen] = []
        async for node, references in ask.children(session, list(level), limits.browse):
            for child in references:
                if child.ReferenceTypeId == _PROPERTY:
                    continue  # it has nothing below it
                each = ask.plain(child.NodeId)
                if each in known or len(known) >= MOST_NODES or (each == _ABOUT_ITSELF and not about_itself):
                    continue
                known.add(each)
                path = f"{level[node]}/{_step(child.BrowseName)}"
                if child.NodeClass in (ua.NodeClass.Object, ua.NodeClass.Variable):
                    below[each] = path
                if child.NodeClass == ua.NodeClass.Variable and _fits(path, globs):
                    found.append(Seen(path, each, child.BrowseName.Name))
        if found:
            yield found
        if not below:
            return
        level = below


def _step(name: Any) -> str:
    text = str(name.Name).replace("&", "&&").replace("/", "&/")
    return f"{name.NamespaceIndex}:{text}" if name.NamespaceIndex else text


def _fits(path: str, globs: Sequence[str]) -> bool:
    """With or without the namespace indices."""
    bare = re.sub(r"(^|/)\d+:", r"\1", path)
    return not globs or any(fnmatchcase(path, glob) or fnmatchcase(bare, glob) for glob in globs)


async def _told(session: Session, limits: ask.Limits, names: Names, seen: list[Seen], taken: set[str]) -> list[Found]:
    nodes, at_once = [each.node for each in seen], limits.read
    values = await ask.read(session, nodes, at_once=at_once)
    types = await ask.read(session, nodes, ua.AttributeIds.DataType, at_once)
    ranks = await ask.read(session, nodes, ua.AttributeIds.ValueRank, at_once)
    descriptions = await ask.read(session, nodes, ua.AttributeIds.Description, at_once)
    properties = await _properties(session, limits, nodes)
    type_names = await _type_names(session, types, at_once)
    rows = zip(seen, values, types, ranks, descriptions, type_names, strict=True)
    return [_found(names, taken, properties.get(row[0].node, {}), *row) for row in rows]


def _found(
    names: Names,
    taken: set[str],
    properties: dict[str, Any],
    seen: Seen,
    value: Any,
    kind: Any,
    rank: Any,
    description: Any,
    type_name: str,
) -> Found:
    options = {"node": names.text(seen.node)}
    unit, low_high = properties.get("EngineeringUnits"), properties.get("EURange")
    if isinstance(unit, ua.EUInformation) and unit.DisplayName.Text:
        options["unit"] = str(unit.DisplayName.Text)
    if isinstance(low_high, ua.Range) and low_high.Low < low_high.High:
        options["range"] = f"{low_high.Low:g}..{low_high.High:g}"
    number = kind.Identifier if kind is not None and kind.NamespaceIndex == 0 else None
    states = "EnumStrings" in properties or "EnumValues" in properties or "TrueState" in properties
    if number in (1, 29) or states or isinstance(value, bool):
        options["kind"] = "state"
    shape = "" if not isinstance(rank, int) or rank < 0 else "[]" * max(1, rank)
    text = description.Text if isinstance(description, ua.LocalizedText) else None
    note = ", ".join(filter(None, (f"{_NUMBERS.get(number, type_name) if number else type_name}{shape}", seen.path, text)))
    return Found(name=_name(seen, taken), options=options, value=_short(value), note=note)


async def _properties(session: Session, limits: ask.Limits, nodes: Sequence[Any]) -> dict[Any, dict[str, Any]]:
    """Properties that say unit, range or states, by node."""
    wanted = {"EngineeringUnits", "EURange", "EnumStrings", "EnumValues", "TrueState"}
    places: list[tuple[Any, str, Any]] = []
    async for node, references in ask.children(session, nodes, limits.browse, reference=ask.IDS.HasProperty):
        places += [(node, r.BrowseName.Name, ask.plain(r.NodeId)) for r in references if r.BrowseName.Name in wanted]
    values = await ask.read(session, [place for _, _, place in places], at_once=limits.read)
    told: dict[Any, dict[str, Any]] = {}
    for (node, name, _), value in zip(places, values, strict=True):
        told.setdefault(node, {})[name] = value
    return told


async def _type_names(session: Session, types: Sequence[Any], at_once: int) -> list[str]:
    """Browse names of data types, each asked for once."""
    distinct = list({kind: None for kind in types if kind is not None})
    told = await ask.read(session, distinct, ua.AttributeIds.BrowseName, at_once)
    names = {kind: name.Name if isinstance(name, ua.QualifiedName) else "" for kind, name in zip(distinct, told, strict=True)}
    return [names.get(kind, "") for kind in types]


def _name(seen: Seen, taken: set[str]) -> str:
    """A name for a tag: the last step of the path, with more of it where that is taken, else with a number."""
    steps = [re.sub(r"^\d+:", "", step) for step in seen.path.split("/")[1:]] or [seen.name]
    for name in _candidates(steps):
        if name not in taken:
            taken.add(name)
            return name
    raise AssertionError  # there is always another number


def _candidates(steps: Sequence[str]) -> Iterator[str]:
    text = ""
    for length in range(1, len(steps) + 1):
        text = (
            re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", "_".join(steps[-length:])).lower())
            .strip("_")[-60:]
            .strip("_")
        )
        if text:
            yield text
    number = 2
    while True:
        yield f"{(text or 'value')[:55]}_{number}"
        number += 1


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} elements"
    return "" if value is None else str(value)[:60]
