"""The CloudEvents attributes around the data, as schemas: of the headers and of the structured form. Pure."""

from __future__ import annotations

from typing import Final

from gateway.contract import UNCONFIRMED, Json, Severity
from gateway.events import codec
from gateway.events.catalogue import INCIDENT_STATES

_RFC_3339: Final = {"type": "string", "format": "date-time"}
ATTRIBUTES: Final[dict[str, dict[str, Json]]] = {
    "specversion": {"type": "string", "const": "1.0"},
    "id": {"type": "string", "minLength": 1, "description": "the idempotency key: the same for every copy of this event"},
    "source": {"type": "string", "format": "uri-reference", "description": "urn:lineside:<enterprise>:<site>:<gateway>"},
    "type": {"type": "string", "minLength": 1, "description": "io.lineside.<domain>.<what happened>.v<major>"},
    "subject": {"type": "string", "minLength": 1, "description": "area/line/cell/machine[/tag]"},
    "time": _RFC_3339 | {"description": "when it happened, by the source's clock"},
    "recordedtime": _RFC_3339 | {"description": "when the gateway wrote it down"},
    "dataschema": {"type": "string", "format": "uri", "description": "the contract of the data, with its minor version"},
    "sequence": {"type": "string", "pattern": "^[0-9]{20}$", "description": "position in the gateway's stream; sorts as text"},
    "partitionkey": {"type": "string", "minLength": 1, "description": "the machine: what must stay in order"},
    "severitynumber": {"type": "integer", "enum": [int(severity) for severity in Severity], "description": "as in OpenTelemetry"},
    "severitytext": {"type": "string", "enum": [severity.name for severity in Severity]},
    "datacontenttype": {"type": "string", "const": codec.JSON},
    "correlationid": {"type": "string", "description": "the incident; facts have none"},
    "causationid": {"type": "string", "description": "the event this one corrects"},
    "traceparent": {"type": "string", "description": "W3C trace context"},
    "timequality": {"type": "string", "enum": [UNCONFIRMED], "description": "no trusted clock ever confirmed the times"},
}
OPTIONAL: Final = frozenset({"correlationid", "causationid", "traceparent", "timequality"})


def headers() -> dict[str, Json]:
    """Of a NATS message in binary mode; every value is text, percent-encoded where it must be."""
    properties = {f"ce-{name}": _text(schema) for name, schema in ATTRIBUTES.items()}
    properties["Nats-Msg-Id"] = {"type": "string", "description": "the event's id: JetStream drops a second one within its window"}
    required = [f"ce-{name}" for name in ATTRIBUTES if name not in OPTIONAL]
    return {"type": "object", "required": [*required, "Nats-Msg-Id"], "properties": properties}


def signature() -> dict[str, Json]:
    """Headers of a request that is signed as Standard Webhooks say; they are there if the destination has secrets."""
    texts = {
        "webhook-id": "of the message; the same when it is sent again",
        "webhook-timestamp": "seconds since 1970, when it was sent",
        "webhook-signature": "one or more, with blanks between: v1,<HMAC-SHA256> or v1a,<ed25519>, base64",
    }
    return {"type": "object", "properties": {name: {"type": "string", "description": text} for name, text in texts.items()}}


def envelope() -> dict[str, Json]:
    """The structured form around any data; more attributes may come."""
    properties = {**ATTRIBUTES, "data": {"type": "object"}}
    return {"type": "object", "required": [name for name in properties if name not in OPTIONAL], "properties": properties}


def correlated(type_: str) -> bool:
    """Whether events of a type belong to an incident."""
    return type_.split(".")[3] in INCIDENT_STATES


def _text(schema: dict[str, Json]) -> dict[str, Json]:
    if schema["type"] != "integer":
        return schema
    return schema | {"type": "string", "enum": [str(number) for number in schema["enum"]]}
