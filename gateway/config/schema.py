"""The JSON Schema of lineside.yaml with every installed plugin's options, for editors."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from gateway import registry
from gateway.config.model import BufferModel, MachineModel, RootModel
from gateway.contract import ConfigError


def config_schema() -> dict[str, Any]:
    """Draft 2020-12, as pydantic makes it; plugins appear under ``$defs``."""
    root = RootModel.model_json_schema()
    root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    root["title"] = "lineside.yaml"
    defs = root.setdefault("$defs", {})
    sources = {name: registry.source(name) for name in _loadable("sources")}
    tags = [_define(defs, f"{name} tag", plugin.tag) for name, plugin in sources.items()]
    records = [_define(defs, f"{name} record", plugin.record) for name, plugin in sources.items() if plugin.record]
    machine = _define(defs, "machine", MachineModel)
    properties = defs["machine"]["properties"]
    properties["source"] = {"anyOf": [_define(defs, f"{name} source", plugin.options) for name, plugin in sources.items()]}
    properties["tags"] = {"type": "object", "additionalProperties": {"anyOf": [*tags, {"type": "null"}]}}
    properties["records"] = {"type": "object", "additionalProperties": {"anyOf": [*records, {"type": "null"}]}}
    root["properties"]["machines"]["additionalProperties"] = machine
    root["properties"]["watch"]["items"] = {
        "type": "object",
        "maxProperties": 1,
        "additionalProperties": False,
        "properties": {name: _define(defs, f"{name} watch", registry.detector(name).options) for name in _loadable("detectors")},
    }
    uplinks = [_define(defs, f"{name} destination", registry.uplink(name).options) for name in _loadable("uplinks")]
    root["properties"]["deliver"]["properties"] = {"buffer": _define(defs, "buffer", BufferModel)}
    root["properties"]["deliver"]["additionalProperties"] = {"anyOf": uplinks}
    return root


def _define(defs: dict[str, Any], name: str, model: type[BaseModel]) -> dict[str, str]:
    made = model.model_json_schema(ref_template="#/$defs/{model}")
    defs.update(made.pop("$defs", {}))
    defs[name] = made
    return {"$ref": f"#/$defs/{name}"}


def _loadable(kind: registry.Kind) -> list[str]:
    found = []
    for name in registry.names(kind):
        try:
            registry.load(kind, name)
        except ConfigError:
            continue
        found.append(name)
    return found
