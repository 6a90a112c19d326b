"""From what an engineer wrote to node ids of this connection: indices and nodes may be others after each restart of a server."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from asyncua import ua

from drivers.opcua.address import Step, split_node, split_path
from drivers.opcua.ask import IDS, NAMESPACES, Limits, children, key, plain, read, translate
from drivers.opcua.session import Session

OBJECTS = ua.NodeId(IDS.ObjectsFolder)
NO_NAMESPACE, NO_PATH = "the server has no such namespace", "the path leads nowhere, or to several nodes"


class Names:
    """Namespaces of the connection, and the paths looked up through it."""

    def __init__(self, session: Session, limits: Limits, namespaces: Sequence[str]) -> None:
        self._session, self._limits = session, limits
        self.namespaces = list(namespaces)
        self._below: dict[Any, list[Any]] = {}

    @classmethod
    async def of(cls, session: Session, limits: Limits) -> Names:
        (told,) = await read(session, [NAMESPACES])
        return cls(session, limits, [str(uri) for uri in told] if isinstance(told, list) else [])

    def index(self, namespace: str | int) -> int | None:
        if isinstance(namespace, int):
            return namespace
        return self.namespaces.index(namespace) if namespace in self.namespaces else None

    def node(self, text: str) -> Any:
        """NodeId, or None if its namespace is not there."""
        namespace, identifier = split_node(text)
        index = self.index(namespace)
        return None if index is None else ua.NodeId(identifier, index)

    def text(self, node: Any) -> str:
        """As an engineer writes it, with the URI: the opposite of `node`."""
        index, identifier = node.NamespaceIndex, node.Identifier
        bare = f"b={b64encode(identifier).decode()}" if isinstance(identifier, bytes) else key(ua.NodeId(identifier, 0))
        return f"nsu={self.namespaces[index]};{bare}" if 0 < index < len(self.namespaces) else bare

    async def nodes(self, options: Mapping[int, Any]) -> tuple[dict[int, Any], dict[int, str]]:
        """(node of each key, why there is none for the others) for options with `node` or `path`."""
        found: dict[int, Any] = {}
        exact: dict[int, list[Any]] = {}
        for handle, each in options.items():
            if each.node is not None:
                found[handle] = self.node(each.node)
                continue
            steps = split_path(each.path)
            names = [self._qualified(step) for step in steps]
            if all(names):
                exact[handle] = names
            else:
                found[handle] = await self._walk(steps)
        told = await translate(self._session, OBJECTS, list(exact.values()), self._limits.translate)
        found |= dict(zip(exact, told, strict=True))
        missing = {handle: NO_PATH if options[handle].node is None else NO_NAMESPACE for handle, node in found.items() if node is None}
        return {handle: node for handle, node in found.items() if node is not None}, missing

    def _qualified(self, step: Step) -> Any:
        index = None if step.namespace is None else self.index(step.namespace)
        return None if index is None else ua.QualifiedName(step.name, index)

    async def _walk(self, steps: Sequence[Step]) -> Any:
        """Step by step, for paths that leave a namespace open; None unless exactly one child has the name at each step."""
        node: Any = OBJECTS
        for step in steps:
            index = None if step.namespace is None else self.index(step.namespace)
            if step.namespace is not None and index is None:
                return None
            if node not in self._below:
                async for _, below in children(self._session, [node]):
                    self._below[node] = below
            fits = {
                plain(child.NodeId)
                for child in self._below.get(node, [])
                if child.BrowseName.Name == step.name and index in (None, child.BrowseName.NamespaceIndex)
            }
            if len(fits) != 1:
                return None
            (node,) = fits
        return node
