"""The contracts as a folder of JSON Schemas with an index: what ``/registry`` of a gateway serves, as files."""

from __future__ import annotations

from gateway.contract import Json
from gateway.events.catalogue import SHIPPED, Catalogue
from gateway.events.published import document, documents, index, sent_types


def folder(*, open_: bool = False, catalogue: Catalogue = SHIPPED) -> dict[str, bytes]:
    """File names and their content.

    open_   as a consumer should read them: unknown properties are no error; the default is as released, closed
    """
    found = documents([*sent_types(catalogue), *catalogue.received_types()], catalogue)
    if open_:
        found = {place: document(opened(_schema(place, catalogue))) for place in found}
    files = {f"registry/contracts/{place}": body for place, body in found.items()}
    return files | {"registry.json": document(index(found))}


def opened(node: Json) -> Json:
    """A schema without ``additionalProperties: false``: a later minor may add properties.

    >>> opened({"type": "object", "additionalProperties": False, "properties": {"a": {"additionalProperties": {"type": "string"}}}})
    {'type': 'object', 'properties': {'a': {'additionalProperties': {'type': 'string'}}}}
    """
    if isinstance(node, list):
        return [opened(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {key: opened(value) for key, value in node.items() if not (key == "additionalProperties" and value is False)}


def _schema(place: str, catalogue: Catalogue) -> dict[str, Json]:
    name, version = place.removesuffix(".json").split("/")
    major, minor = map(int, version.split("."))
    return catalogue.schema(f"{name}.v{major}", minor)
