"""Metadata files: plain nested elements, written the way Salesforce writes them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias
from xml.sax.saxutils import escape

NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
_INDENT = "    "

Node: TypeAlias = "str | int | bool | Mapping[str, Node] | Sequence[Node]"


def document(root: str, children: Mapping[str, Node]) -> str:
    """One metadata file. A list repeats its element; elements stay in the order given.

    >>> print(document("Flow", {"status": "Draft", "filters": [{"field": "Id"}, {"field": "A & B"}]}))
    <?xml version="1.0" encoding="UTF-8"?>
    <Flow xmlns="http://soap.sforce.com/2006/04/metadata">
        <status>Draft</status>
        <filters>
            <field>Id</field>
        </filters>
        <filters>
            <field>A &amp; B</field>
        </filters>
    </Flow>
    <BLANKLINE>
    """
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<{root} xmlns="{NAMESPACE}">']
    for name, node in children.items():
        _write(lines, name, node, 1)
    return "\n".join([*lines, f"</{root}>", ""])


def _write(lines: list[str], name: str, node: Node, depth: int) -> None:
    pad = _INDENT * depth
    if isinstance(node, Mapping):
        lines.append(f"{pad}<{name}>")
        for child, below in node.items():
            _write(lines, child, below, depth + 1)
        lines.append(f"{pad}</{name}>")
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for one in node:
            _write(lines, name, one, depth)
    else:
        lines.append(f"{pad}<{name}>{_text(node)}</{name}>")


def _text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else escape(str(value))
