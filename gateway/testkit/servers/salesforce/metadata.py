"""What objects and fields an org knows: read from an exported folder, so that the export is what the tests hold the uplink to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree as ET

_NS = "{http://soap.sforce.com/2006/04/metadata}"


@dataclass(frozen=True, slots=True)
class Field:
    """length: characters, or digits in all of a number with `scale` of them after the point; 0 = not bounded here."""

    name: str
    kind: str
    length: int = 0
    scale: int = 0
    required: bool = False
    external_id: bool = False
    values: tuple[str, ...] = ()
    readonly: bool = False


# The part of the standard object that matters here.
_CASE = (
    Field("Id", "id", readonly=True),
    Field("CaseNumber", "Text", 30, readonly=True),
    Field("Subject", "Text", 255),
    Field("Description", "LongTextArea", 32_000),
    Field("Status", "Text", 255),
    Field("Origin", "Text", 255),
    Field("Priority", "Text", 255),
    Field("AssetId", "reference", 18),
    Field("Comments", "LongTextArea", 4_000),
    Field("IsClosed", "boolean", readonly=True),
    Field("CreatedDate", "DateTime", readonly=True),
    Field("LastModifiedDate", "DateTime", readonly=True),
    Field("SystemModstamp", "DateTime", readonly=True),
    Field("LastModifiedById", "reference", readonly=True),
    Field("LastModifiedBy", "relation", readonly=True),
)


def objects(texts: Mapping[str, str]) -> dict[str, dict[str, Field]]:
    """Fields by name, by object, of a source folder given as texts by path."""
    found: dict[str, dict[str, Field]] = {"Case": {field.name: field for field in _CASE}}
    for path, text in texts.items():
        parts = path.split("/")
        if path.endswith(".field-meta.xml"):
            field = _field(ET.fromstring(text.encode()))
            found.setdefault(parts[-3], {})[field.name] = field
    return found


def _field(root: ET.Element) -> Field:
    kind = _said(root, "type")
    length = _said(root, "precision" if kind == "Number" else "length")
    values = tuple(node.findtext(f"{_NS}fullName", "") for node in root.iter(f"{_NS}value"))
    return Field(
        name=_said(root, "fullName"),
        kind=kind,
        length=int(length or 0),
        scale=int(_said(root, "scale") or 0),
        required=_said(root, "required") == "true",
        external_id=_said(root, "externalId") == "true",
        values=values,
    )


def _said(root: ET.Element, name: str) -> str:
    return root.findtext(f"{_NS}{name}", "")
