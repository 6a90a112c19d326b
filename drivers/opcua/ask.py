"""Questions to a server beside the subscription: attributes, its limits, children, paths. Each within what it takes in one call."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.ua import uaerrors

from drivers.opcua.session import Session

IDS = ua.ObjectIds
NAMESPACES, SERVER_TIME = ua.NodeId(IDS.Server_NamespaceArray), ua.NodeId(IDS.Server_ServerStatus_CurrentTime)
TOO_MUCH = (uaerrors.BadTooManyOperations, uaerrors.BadRequestTooLarge, uaerrors.BadResponseTooLarge)
"""For one call, of operations or of bytes: it is asked for in halves."""
_AT_ONCE = 500  # where the server names no limit
REFERENCES_AT_ONCE = 1000
_NOT_ALL = (ua.StatusCodes.BadNoContinuationPoints, ua.StatusCodes.BadContinuationPointInvalid)
_LIMITS = {
    "read": IDS.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    "browse": IDS.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
    "translate": IDS.Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIds,
    "items": IDS.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
    "history": IDS.Server_ServerCapabilities_OperationLimits_MaxNodesPerHistoryReadData,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Operations the server takes in one call (Part 5, 6.3.11)."""

    read: int = _AT_ONCE
    browse: int = _AT_ONCE
    translate: int = _AT_ONCE
    items: int = _AT_ONCE
    history: int = _AT_ONCE


async def limits(session: Session) -> Limits:
    """What the server says; what it does not say is our default."""
    told = await read(session, [ua.NodeId(number) for number in _LIMITS.values()])
    given = {name: value for name, value in zip(_LIMITS, told, strict=True) if isinstance(value, int) and not isinstance(value, bool)}
    return Limits(**{name: min(value, _AT_ONCE) for name, value in given.items() if value > 0})


async def read(session: Session, nodes: Sequence[Any], attribute: Any = ua.AttributeIds.Value, at_once: int = _AT_ONCE) -> list[Any]:
    """The value of one attribute of each node; None where the server does not tell it. Halves what is more than it takes."""
    values: list[Any] = []
    for start in range(0, len(nodes), at_once):
        asked = nodes[start : start + at_once]
        request = ua.ReadRequest()
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Neither
        request.Parameters.NodesToRead = [ua.ReadValueId(NodeId=node, AttributeId=attribute) for node in asked]
        try:
            results = (await session.ask(request, ua.ReadResponse)).Results or []
        except TOO_MUCH:
            if len(asked) == 1:
                raise
            values += await read(session, asked, attribute, len(asked) // 2)
            continue
        values += [*map(_value, results), *[None] * len(asked)][: len(asked)]
    return values


def _value(result: Any) -> Any:
    bad = result.StatusCode is not None and result.StatusCode.is_bad()
    return None if bad or result.Value is None else result.Value.Value


async def children(
    session: Session, nodes: Sequence[Any], at_once: int = _AT_ONCE, *, reference: int = IDS.HierarchicalReferences, inverse: bool = False
) -> AsyncIterator[tuple[Any, list[Any]]]:
    """(node, descriptions of what hangs below it), for each; continuation points are followed to their end."""
    for start in range(0, len(nodes), at_once):
        asked = nodes[start : start + at_once]
        request = ua.BrowseRequest()
        request.Parameters.RequestedMaxReferencesPerNode = REFERENCES_AT_ONCE
        request.Parameters.NodesToBrowse = [_below(node, reference, inverse) for node in asked]
        try:
            results = (await session.ask(request, ua.BrowseResponse)).Results or []
        except TOO_MUCH:
            if len(asked) == 1:
                raise
            async for each in children(session, asked, len(asked) // 2, reference=reference, inverse=inverse):
                yield each
            continue
        again: list[Any] = []
        for node, result in zip(asked, results, strict=False):
            found, whole = await _pages(session, result)
            if whole or len(asked) == 1:
                yield node, found
            else:
                again.append(node)
        if again:
            async for each in children(session, again, max(1, len(again) // 2), reference=reference, inverse=inverse):
                yield each


async def _pages(session: Session, result: Any) -> tuple[list[Any], bool]:
    """(all references, whether these are all). A server has few continuation points: it has none left, or forgets the oldest."""
    found, rest, status = list(result.References or []), result.ContinuationPoint, result.StatusCode
    while rest and not status.is_bad():
        more = ua.BrowseNextRequest()
        more.Parameters.ContinuationPoints = [rest]
        more.Parameters.ReleaseContinuationPoints = False  # the library's default would throw the pages away
        (page,) = (await session.ask(more, ua.BrowseNextResponse)).Parameters.Results
        status = page.StatusCode
        if not page.References:
            break
        found += page.References
        rest = page.ContinuationPoint
    return found, status.value not in _NOT_ALL


def _below(node: Any, reference: int, inverse: bool) -> Any:
    return ua.BrowseDescription(
        NodeId=node,
        BrowseDirection=ua.BrowseDirection.Inverse if inverse else ua.BrowseDirection.Forward,
        ReferenceTypeId=ua.NodeId(reference),
        IncludeSubtypes=True,
        NodeClassMask=ua.NodeClass(0),
        ResultMask=ua.BrowseResultMask.All,
    )


async def translate(session: Session, start: Any, paths: Sequence[Sequence[Any]], at_once: int = _AT_ONCE) -> list[Any]:
    """The node each path of qualified names leads to from `start`; None where it leads nowhere, or to several."""
    found: list[Any] = []
    for begin in range(0, len(paths), at_once):
        request = ua.TranslateBrowsePathsToNodeIdsRequest()
        request.Parameters.BrowsePaths = [_browse_path(start, names) for names in paths[begin : begin + at_once]]
        wanted = len(request.Parameters.BrowsePaths)
        try:
            results = (await session.ask(request, ua.TranslateBrowsePathsToNodeIdsResponse)).Results or []
        except uaerrors.BadServiceUnsupported:
            results = []
        except TOO_MUCH:
            if wanted == 1:
                raise
            found += await translate(session, start, paths[begin : begin + at_once], wanted // 2)
            continue
        nodes = [r.Targets[0].TargetId if not r.StatusCode.is_bad() and len(r.Targets or []) == 1 else None for r in results]
        found += [*(None if node is None else plain(node) for node in nodes), *[None] * wanted][:wanted]
    return found


def _browse_path(start: Any, names: Sequence[Any]) -> Any:
    elements = [
        ua.RelativePathElement(
            ReferenceTypeId=ua.NodeId(IDS.HierarchicalReferences), IsInverse=False, IncludeSubtypes=True, TargetName=name
        )
        for name in names
    ]
    return ua.BrowsePath(StartingNode=start, RelativePath=ua.RelativePath(Elements=elements))


def plain(node: Any) -> Any:
    """An ExpandedNodeId of this server as a NodeId."""
    return ua.NodeId(node.Identifier, node.NamespaceIndex)


def key(node: Any) -> str:
    """A NodeId as `wire.Reader.node` writes it; empty for the null node."""
    if node is None or node.is_null():
        return ""
    identifier = node.Identifier
    letter = {int: "i", str: "s", bytes: "b"}.get(type(identifier), "g")
    text = f"{letter}={identifier.hex() if isinstance(identifier, bytes) else identifier}"
    return f"ns={node.NamespaceIndex};{text}" if node.NamespaceIndex else text
