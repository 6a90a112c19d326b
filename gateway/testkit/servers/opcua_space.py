"""The address space of the OPC UA standard, built once per process: that takes seconds. A server copies those of its nodes that it uses."""

from __future__ import annotations

from pathlib import Path

from asyncua import ua
from asyncua.server.address_space import AttributeValue, NodeData
from asyncua.server.internal_server import InternalServer

_standard: dict[ua.NodeId, NodeData] = {}


class QuickServer(InternalServer):  # type: ignore[misc]  # asyncua is not typed for us
    """asyncua's own, but for where its standard nodes come from; servers share values, which are never changed in place."""

    async def load_standard_address_space(self, shelf_file: Path | None = None) -> None:
        if not _standard:
            await super().load_standard_address_space(shelf_file)
            _standard.update(self.aspace._nodes)
        self.aspace._nodes = _Nodes(_standard)


class _Nodes(dict[ua.NodeId, NodeData]):
    """Of six thousand nodes of the standard a server looks at some dozens: each is copied when it is asked for."""

    def __getitem__(self, nodeid: ua.NodeId) -> NodeData:
        node = super().__getitem__(nodeid)
        if node is _standard.get(nodeid):
            node = self[nodeid] = _copy(node)
        return node

    def get(self, nodeid: ua.NodeId, default: NodeData | None = None) -> NodeData | None:
        try:
            return self[nodeid]
        except KeyError:
            return default


def _copy(node: NodeData) -> NodeData:
    """Before anybody has subscribed to it."""
    copied = NodeData(node.nodeid)
    for name, attribute in node.attributes.items():
        copied.attributes[name] = AttributeValue(attribute.value)
    copied.references, copied.call = list(node.references), node.call
    return copied
