"""The JSON Schema of lineside.yaml with every installed plugin's options, for editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel

from gateway import registry
from gateway.config.model import NAME, BufferModel, MachineModel, RootModel
from gateway.contract import Bearing, ConfigError

Schema: TypeAlias = dict[str, Any]


def config_schema() -> Schema:
    """Draft 7, because that is what editors' YAML servers understand best.

    The driver a machine names decides which options its source, tags and records have; an option that a profile
    may bring is not required of a machine that has one.
    """
    root = RootModel.model_json_schema()
    defs = root.setdefault("$defs", {})
    sources = {name: registry.source(name) for name in _loadable("sources")}
    for name, source in sources.items():
        _define(defs, f"{name}_source", source.options)
        _define(defs, f"{name}_tag", source.tag)
        if source.record is not None:
            _define(defs, f"{name}_record", source.record)
    _define(defs, "machine", MachineModel)
    _define(defs, "bearing", Bearing)
    defs["profile"] = _profile(defs, list(sources))
    machine = defs["machine"]
    machine["properties"]["source"] = _one_of_them({name: _ref(f"{name}_source") for name in sources}, "one driver with its address")
    machine["allOf"] = [_machine_of(defs, name, has_profile) for name in sources for has_profile in (False, True)]
    root["properties"]["machines"] |= _named(_or_nothing(_ref("machine")))
    root["properties"]["profiles"] |= _named(_ref("profile"))
    root["properties"]["watch"]["items"] = _watch(defs)
    root["properties"]["deliver"] |= _deliver(defs)
    schema: Schema = _draft_7({**root, "$schema": "http://json-schema.org/draft-07/schema#", "title": "lineside.yaml"})
    return schema


def _machine_of(defs: Schema, driver: str, has_profile: bool) -> Schema:
    """If the source is of this driver, tags and records have its options."""
    which = {"properties": {"source": {"required": [driver]}}, "required": ["source"]}
    profile: Schema = {"required": ["profile"]}
    parts = {}
    for part, name in (("tags", f"{driver}_tag"), ("records", f"{driver}_record")):
        if name in defs:
            options = _or_nothing(_ref(_without_required(defs, name))) if has_profile else _ref(name)
            parts[part] = _named(options)
    return {"if": {"allOf": [which, profile if has_profile else {"not": profile}]}, "then": {"properties": parts}}


def _profile(defs: Schema, drivers: list[str]) -> Schema:
    """Parts of machines: nothing is required, and the driver is known only if its defaults are given."""
    tags = [_ref(_without_required(defs, f"{driver}_tag")) for driver in drivers]
    records = [_ref(_without_required(defs, f"{driver}_record")) for driver in drivers if f"{driver}_record" in defs]
    properties: Schema = {driver: _ref(_without_required(defs, f"{driver}_source")) for driver in drivers}
    properties["tags"] = _named({"anyOf": tags})
    properties["records"] = _named({"anyOf": records})
    properties["bearing"] = _ref("bearing")
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _watch(defs: Schema) -> Schema:
    properties = {name: _define(defs, f"{name}_watch", registry.detector(name).options) for name in _loadable("detectors")}
    return {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False, "properties": properties}


def _deliver(defs: Schema) -> Schema:
    uplinks = {name: _define(defs, f"{name}_destination", registry.uplink(name).options) for name in _loadable("uplinks")}
    destination = _one_of_them(uplinks, "one kind of destination with its address")
    buffer = {"buffer": _define(defs, "buffer", BufferModel)}
    return {"properties": buffer, **_named(destination, f"^(?!buffer$){NAME.removeprefix('^')}")}


def _one_of_them(options: Mapping[str, Schema], description: str) -> Schema:
    """Options of the plugin whose name is among the keys; the names themselves, so that an editor offers them."""
    return {
        "description": description,
        "type": "object",
        "properties": {name: {} for name in options},
        "oneOf": [{"required": [name]} for name in options],
        "allOf": [{"if": {"required": [name]}, "then": ref} for name, ref in options.items()],
    }


def _define(defs: Schema, name: str, model: type[BaseModel]) -> Schema:
    # Under the plugin's own name, because two plugins may call a part of their options the same.
    made = model.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
    defs.update({f"{name}.{part}": schema for part, schema in made.pop("$defs", {}).items()})
    defs[name] = made
    return _ref(name)


def _without_required(defs: Schema, name: str) -> str:
    loose = f"{name}_in_part"
    defs.setdefault(loose, {key: value for key, value in defs[name].items() if key != "required"})
    return loose


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _named(schema: Schema, pattern: str = NAME) -> Schema:
    return {"type": "object", "patternProperties": {pattern: schema}, "additionalProperties": False}


def _or_nothing(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _draft_7(node: Any) -> Any:
    """What pydantic writes in draft 2020-12 and draft 7 says otherwise: tuples."""
    if isinstance(node, list):
        return [_draft_7(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {("items" if key == "prefixItems" else key): _draft_7(value) for key, value in node.items()}


def _loadable(kind: registry.Kind) -> list[str]:
    found = []
    for name in registry.names(kind):
        try:
            registry.load(kind, name)
        except ConfigError:
            continue
        found.append(name)
    return found
