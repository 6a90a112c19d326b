"""Layouts of structures, as the server defines them: asked for at connect, and only for tags that name a field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncua import ua

from drivers.opcua.ask import IDS, children, key, plain, read
from drivers.opcua.session import Session
from drivers.opcua.structure import Layout, Part
from drivers.opcua.wire import STRUCTURE

_INT32 = 6
_LAST_BUILT_IN = 25
_DEEPEST = 8
_OPTIONAL = ua.StructureType.StructureWithOptionalFields


class Types:
    """Of one connection. What is not defined, or nests without end, has no layout."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[Any, Layout | None] = {}
        self._built_in: dict[Any, int] = {}

    async def of(self, nodes: Mapping[int, Any]) -> dict[int, Layout | None]:
        """Layout of each node's value."""
        types = await read(self._session, list(nodes.values()), ua.AttributeIds.DataType)
        return {key: None if kind is None else await self._layout(plain(kind), 0) for key, kind in zip(nodes, types, strict=True)}

    async def _layout(self, kind: Any, depth: int) -> Layout | None:
        if kind not in self._known:
            self._known[kind] = None  # a type that contains itself has no layout
            (definition,) = await read(self._session, [kind], ua.AttributeIds.DataTypeDefinition)
            if isinstance(definition, ua.StructureDefinition) and depth < _DEEPEST:
                self._known[kind] = await self._defined(definition, depth)
        return self._known[kind]

    async def _defined(self, definition: Any, depth: int) -> Layout | None:
        shape = definition.StructureType
        layout = Layout("", masked=shape == _OPTIONAL, union=shape == ua.StructureType.Union, encoding=key(definition.DefaultEncodingId))
        for told in definition.Fields or []:
            if told.ValueRank > 1 or (told.ValueRank < -1):
                return None  # matrices and "scalar or array" are Variants of their own
            part = Part(str(told.Name), STRUCTURE, array=told.ValueRank >= 0, optional=bool(told.IsOptional) and layout.masked)
            part.kind = await self._kind(plain(told.DataType))
            if part.kind == STRUCTURE and told.DataType.Identifier != STRUCTURE:
                part.inside = await self._layout(plain(told.DataType), depth + 1)
                if part.inside is None:
                    return None
            layout.parts.append(part)
        return layout

    async def _kind(self, kind: Any) -> int:
        """The built-in type a type goes back to; enumerations are written as Int32."""
        if kind in self._built_in:
            return self._built_in[kind]
        current = kind
        for _ in range(_DEEPEST):
            number = current.Identifier if current.NamespaceIndex == 0 and isinstance(current.Identifier, int) else None
            if number is not None and (number <= _LAST_BUILT_IN or number == IDS.Enumeration):
                break
            above = [
                node async for _, found in children(self._session, [current], reference=IDS.HasSubtype, inverse=True) for node in found
            ]
            if not above:
                break
            current = plain(above[0].NodeId)
        number = current.Identifier if current.NamespaceIndex == 0 and isinstance(current.Identifier, int) else STRUCTURE
        self._built_in[kind] = _INT32 if number == IDS.Enumeration else number if number <= _LAST_BUILT_IN else STRUCTURE
        return self._built_in[kind]
