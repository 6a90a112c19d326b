"""Contracts as they are given to others: one document per type and version, byte for byte the same wherever it is read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256

from gateway import registry
from gateway.contract import ConfigError, Json
from gateway.events.catalogue import DEVICE, GATEWAY, PREFIX, REGISTRY_URL, SHIPPED, Catalogue


def sent_types(catalogue: Catalogue = SHIPPED) -> list[str]:
    """What this gateway can send: three per domain of the installed detectors, devices and the gateway, and what has its own contract."""
    domains = {DEVICE, GATEWAY}
    for name in registry.names("detectors"):
        try:
            domains.add(registry.detector(name).domain)
        except ConfigError:  # it cannot be loaded, so it cannot send either
            continue
    return sorted({*catalogue.own_types(), *catalogue.incident_types(domains)})


def document(schema: Json) -> bytes:
    """A contract as a file."""
    return (json.dumps(schema, indent=2, ensure_ascii=False) + "\n").encode()


def documents(types: Iterable[str], catalogue: Catalogue = SHIPPED) -> dict[str, bytes]:
    """Every minor of each type by its place below ``contracts/``: ``io.lineside.limit.raised/1.0.json``."""
    return {
        catalogue.dataschema(type_, version.minor).removeprefix(f"{REGISTRY_URL}/"): document(catalogue.schema(type_, version.minor))
        for type_ in types
        for version in catalogue.versions(type_)
    }


def index(found: dict[str, bytes]) -> dict[str, Json]:
    """What there is, in the shape of an xRegistry: groups, schemas, versions. Addresses are relative to the index."""
    schemas: dict[str, dict[str, Json]] = {}
    for place, body in found.items():
        schema, version = place.removesuffix(".json").split("/")
        schemas.setdefault(schema, {})[version] = _version(place, version, body)
    return {
        "registryid": "lineside",
        "schemagroups": {
            PREFIX: {
                "schemagroupid": PREFIX,
                "schemascount": len(schemas),
                "schemas": {name: _schema(name, versions) for name, versions in sorted(schemas.items())},
            }
        },
    }


def _schema(name: str, versions: dict[str, Json]) -> dict[str, Json]:
    newest = max(versions, key=lambda version: tuple(map(int, version.split("."))))
    versions[newest]["isdefault"] = True
    return {"schemaid": name, "defaultversionid": newest, "versionscount": len(versions), "versions": versions}


def _version(place: str, version: str, body: bytes) -> dict[str, Json]:
    return {
        "versionid": version,
        "isdefault": False,
        "format": "JsonSchema/draft-07",
        "contenttype": "application/schema+json",
        "schemaurl": f"registry/contracts/{place}",
        "dataschema": f"{REGISTRY_URL}/{place}",
        "sha256": sha256(body).hexdigest(),
    }
