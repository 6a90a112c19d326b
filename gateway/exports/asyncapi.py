"""Our events as an AsyncAPI 3.0.0 document. Pure.

A channel per event type on NATS, one channel for all of them over HTTPS, one for the verdicts that come back. What is described is
what a consumer may rely on: the newest minor of each major, open for properties that later minors add.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway import __version__
from gateway.contract import Json
from gateway.events import codec
from gateway.events.catalogue import SHIPPED, Catalogue
from gateway.events.published import sent_types
from gateway.exports import attributes
from gateway.exports.jsonschema import opened

DRAFT_07: Final = "application/schema+json;version=draft-07"
_LEVELS: Final = ("enterprise", "site", "area", "line", "cell")
_PARAMETERS: Final = {
    "enterprise": "the enterprise, as the gateway's configuration names it",
    "site": "the plant",
    "area": "ISA-95 area of the machine; _ if the plant has none",
    "line": "ISA-95 line of the machine; _ if the plant has none",
    "cell": "ISA-95 cell of the machine; _ if the plant has none",
    "gateway": "name of the gateway",
}


def asyncapi(catalogue: Catalogue = SHIPPED) -> dict[str, Json]:
    """The document, ready to be written as JSON."""
    sent, received = sent_types(catalogue), catalogue.received_types()
    return {
        "asyncapi": "3.0.0",
        "id": "urn:lineside:events",
        "info": {
            "title": "Lineside events",
            "version": __version__,
            "description": "Conditions and facts of machines as CloudEvents 1.0: over NATS binary, over HTTPS structured or in batches.",
        },
        "defaultContentType": codec.JSON,
        "servers": _servers(),
        "channels": {
            **{_short(type_): _event_channel(type_) for type_ in sent},
            "https": _https_channel(sent),
            **{_short(type_): _feedback_channel(type_) for type_ in received},
        },
        "operations": _operations(sent, received),
        "components": {
            "parameters": {name: {"description": text} for name, text in _PARAMETERS.items()},
            "schemas": _schemas([*sent, *received], catalogue),
            "messages": _messages(sent, received, catalogue),
            "correlationIds": _correlations(),
        },
    }


def _servers() -> dict[str, Json]:
    host = {"description": "host and port of the receiver; the gateway's configuration has it under destinations"}
    return {
        "nats": {
            "host": "{nats}",
            "protocol": "nats",
            "description": "NATS with JetStream; encrypted wherever the configuration says tls://",
            "variables": {"nats": host | {"default": "localhost:4222"}},
        },
        "https": {
            "host": "{receiver}",
            "protocol": "https",
            "description": "whoever takes the events by POST; any 2xx means taken",
            "variables": {"receiver": host | {"default": "localhost:443"}},
        },
    }


def _event_channel(type_: str) -> dict[str, Json]:
    domain, happening = type_.split(".")[2:4]
    tokens = [f"{{{level}}}" for level in _LEVELS]
    return {
        "address": ".".join(["evt.v1", *tokens, codec.token(domain), codec.token(happening)]),
        "title": f"{type_} on NATS",
        "servers": [_ref("servers", "nats")],
        "messages": {_short(type_): _ref("components", "messages", _short(type_))},
        "parameters": {level: _ref("components", "parameters", level) for level in _LEVELS},
        "x-jetstream": {"deduplication": "Nats-Msg-Id is the event's id", "order": "per ce-partitionkey, by ce-sequence"},
    }


def _https_channel(sent: Sequence[str]) -> dict[str, Json]:
    messages = [*(f"{_short(type_)}.structured" for type_ in sent), "batch"]
    return {
        "address": None,
        "title": "every event, by POST to the address in the configuration",
        "servers": [_ref("servers", "https")],
        "messages": {name: _ref("components", "messages", name) for name in messages},
    }


def _feedback_channel(type_: str) -> dict[str, Json]:
    levels = ("site", "gateway")
    return {
        "address": "fb.v1.{site}.{gateway}",
        "title": "verdicts on incidents",
        "servers": [_ref("servers", "nats")],
        "messages": {_short(type_): _ref("components", "messages", _short(type_))},
        "parameters": {level: _ref("components", "parameters", level) for level in levels},
        "x-jetstream": {"delivery": "at least once if a stream holds the subject, else at most once"},
    }


def _operations(sent: Sequence[str], received: Sequence[str]) -> dict[str, Json]:
    def operation(action: str, channel: str, summary: str, **more: Json) -> dict[str, Json]:
        return {"action": action, "channel": _ref("channels", channel), "summary": summary, **more}

    post = {"http": {"method": "POST", "bindingVersion": "0.3.0"}}
    return {
        **{f"send.{_short(type_)}": operation("send", _short(type_), f"{type_} is published") for type_ in sent},
        "send.https": operation("send", "https", "events are posted, one by one or in batches", bindings=post),
        **{f"receive.{_short(type_)}": operation("receive", _short(type_), f"{type_} is taken") for type_ in received},
    }


def _messages(sent: Sequence[str], received: Sequence[str], catalogue: Catalogue) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for type_ in sent:
        contract = {"x-dataschema": catalogue.dataschema(type_)}
        found[_short(type_)] = _binary(type_) | contract
        found[f"{_short(type_)}.structured"] = _structured(type_) | contract
    return found | {"batch": _batch()} | {_short(type_): _verdict(type_) for type_ in received}


def _binary(type_: str) -> dict[str, Json]:
    own = {"type": "object", "properties": {"ce-type": {"type": "string", "const": type_}}}
    return {
        "name": type_,
        "title": f"{type_}, CloudEvents binary mode",
        "contentType": codec.JSON,
        "headers": {"type": "object", "allOf": [_ref("components", "schemas", "cloudevents"), own]},
        "payload": _ref("components", "schemas", _short(type_)),
        **({"correlationId": _ref("components", "correlationIds", "header")} if attributes.correlated(type_) else {}),
    }


def _structured(type_: str) -> dict[str, Json]:
    own = {"type": {"type": "string", "const": type_}, "data": _schema_ref(_short(type_))}
    return {
        "name": type_,
        "title": f"{type_}, CloudEvents structured mode",
        "contentType": codec.STRUCTURED,
        "headers": _ref("components", "schemas", "signature"),
        "payload": _draft_07({"allOf": [_schema_ref("envelope"), {"type": "object", "properties": own}]}),
        **({"correlationId": _ref("components", "correlationIds", "payload")} if attributes.correlated(type_) else {}),
    }


def _batch() -> dict[str, Json]:
    return {
        "name": "batch",
        "title": "many events in one request, of any type",
        "contentType": codec.BATCH,
        "headers": _ref("components", "schemas", "signature"),
        "payload": _draft_07({"type": "array", "items": _schema_ref("envelope")}),
    }


def _verdict(type_: str) -> dict[str, Json]:
    return {
        "name": type_,
        "title": "what the service team says of an incident; plain JSON, no CloudEvents headers are needed",
        "contentType": codec.JSON,
        "payload": _ref("components", "schemas", _short(type_)),
        "correlationId": _ref("components", "correlationIds", "incident"),
    }


def _schemas(types: Sequence[str], catalogue: Catalogue) -> dict[str, Json]:
    """Of the data, without `$id`: two of one name are an error to many readers, and the document has no other place for it."""
    data = {type_: {key: value for key, value in catalogue.schema(type_).items() if key != "$id"} for type_ in types}
    return {
        "cloudevents": attributes.headers(),
        "signature": attributes.signature(),
        "envelope": _draft_07(attributes.envelope()),
        **{_short(type_): _draft_07(opened(schema)) for type_, schema in data.items()},
    }


def _correlations() -> dict[str, Json]:
    what = "the incident: the same through raised, updated and cleared"
    return {
        "header": {"description": what, "location": "$message.header#/ce-correlationid"},
        "payload": {"description": what, "location": "$message.payload#/correlationid"},
        "incident": {"description": what, "location": "$message.payload#/incident"},
    }


def _draft_07(schema: dict[str, Json]) -> dict[str, Json]:
    return {"schemaFormat": DRAFT_07, "schema": schema}


def _schema_ref(name: str) -> dict[str, str]:
    """To the schema itself, inside what says its format."""
    return _ref("components", "schemas", name, "schema")


def _short(type_: str) -> str:
    """``io.lineside.limit.raised.v1`` as a key: ``limit.raised.v1``."""
    return type_.split(".", 2)[2]


def _ref(*path: str) -> dict[str, str]:
    return {"$ref": "#/" + "/".join(path)}
