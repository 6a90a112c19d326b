"""The address space of the OPC UA standard, built once per process: building it takes seconds, copying it a twentieth of one."""

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
            _standard.update({node: _copy(self.aspace[node]) for node in self.aspace.keys()})  # noqa: SIM118  not iterable
            return
        for node, data in _standard.items():
            self.aspace[node] = _copy(data)


def _copy(node: NodeData) -> NodeData:
    """Before anybody has subscribed to it."""
    copied = NodeData(node.nodeid)
    for name, attribute in node.attributes.items():
        copied.attributes[name] = AttributeValue(attribute.value)
    copied.references, copied.call = list(node.references), node.call
    return copied
