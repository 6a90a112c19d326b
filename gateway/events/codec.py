"""CloudEvents 1.0: JSON (structured and batch) and the header forms of NATS and HTTP. Pure.

The two bindings differ: NATS carries every attribute as ``ce-...`` header, HTTP puts `datacontenttype` into
``Content-Type``. Both percent-encode what may not stand in a header.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec

from gateway.contract import Event, Severity
from gateway.events.build import rfc3339

STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
JSON = "application/json"
_UNSAFE = re.compile(r'[\x00-\x20"%\x7f-\U0010ffff]')
_NOT_TOKEN = re.compile(r"[^a-z0-9_-]+")
_encode = msgspec.json.Encoder().encode


def attributes(event: Event) -> dict[str, str]:
    """Every context attribute but the data, as text; `severitynumber` too, because headers know nothing else."""
    found = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": rfc3339(event.time_ns),
        "recordedtime": rfc3339(event.recorded_ns),
        "dataschema": event.dataschema,
        "sequence": f"{event.sequence:020d}",
        "partitionkey": event.partitionkey,
        "severitynumber": str(int(event.severity)),
        "severitytext": event.severity.name,
    }
    if event.correlationid:
        found["correlationid"] = event.correlationid
    if event.causationid:
        found["causationid"] = event.causationid
    if event.traceparent:
        found["traceparent"] = event.traceparent
    if event.timequality:
        found["timequality"] = event.timequality
    return found


def structured(event: Event) -> bytes:
    """One event as ``application/cloudevents+json``; the data goes in as it is, it is JSON already."""
    return _encode(_document(event))


def batch(events: Sequence[Event]) -> bytes:
    """Many as ``application/cloudevents-batch+json``."""
    return _encode([_document(event) for event in events])


def _document(event: Event) -> dict[str, Any]:
    document: dict[str, Any] = attributes(event)
    document["severitynumber"] = int(event.severity)
    document["datacontenttype"] = JSON
    document["data"] = msgspec.Raw(event.data)
    return document


def nats_headers(event: Event) -> dict[str, str]:
    """Binary mode of the NATS binding, with `Nats-Msg-Id` for the server's own de-duplication."""
    headers = {f"ce-{name}": escape(value) for name, value in attributes(event).items()}
    headers["ce-datacontenttype"] = JSON
    headers["Nats-Msg-Id"] = event.id
    return headers


def http_headers(event: Event) -> dict[str, str]:
    """Binary mode of the HTTP binding."""
    return {f"ce-{name}": escape(value) for name, value in attributes(event).items()} | {"Content-Type": JSON}


def nats_header_block(event: Event) -> bytes:
    """`nats_headers` as they stand on the wire; built in one piece because it is made for every event sent."""
    common = _common_block(event.source, event.type, event.subject, event.dataschema, event.partitionkey, int(event.severity))
    correlation = f"ce-correlationid: {escape(event.correlationid)}\r\n" if event.correlationid else ""
    causation = f"ce-causationid: {escape(event.causationid)}\r\n" if event.causationid else ""
    trace = f"ce-traceparent: {escape(event.traceparent)}\r\n" if event.traceparent else ""
    quality = f"ce-timequality: {event.timequality}\r\n" if event.timequality else ""
    return (
        f"{common}ce-id: {escape(event.id)}\r\nce-time: {rfc3339(event.time_ns)}\r\nce-recordedtime: {rfc3339(event.recorded_ns)}\r\n"
        f"ce-sequence: {event.sequence:020d}\r\n{correlation}{causation}{trace}{quality}Nats-Msg-Id: {event.id}\r\n\r\n"
    ).encode()


@lru_cache(maxsize=4096)
def _common_block(source: str, type_: str, subject: str, dataschema: str, partitionkey: str, severity: int) -> str:
    """What the events of one condition have in common, escaped once."""
    given = {
        "specversion": "1.0",
        "source": source,
        "type": type_,
        "subject": subject,
        "dataschema": dataschema,
        "partitionkey": partitionkey,
        "severitynumber": str(severity),
        "severitytext": Severity(severity).name,
        "datacontenttype": JSON,
    }
    return "NATS/1.0\r\n" + "".join(f"ce-{name}: {escape(value)}\r\n" for name, value in given.items())


def escape(value: str) -> str:
    """Percent-encode space, double quote, percent and everything outside printable ASCII (UTF-8).

    >>> escape('50 % "Öl"')
    '50%20%25%20%22%C3%96l%22'
    """
    if not _UNSAFE.search(value):
        return value
    return _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), value)


def nats_subject(event: Event, prefix: str = "evt.v1") -> str:
    """``evt.v1.<enterprise>.<site>.<area>.<line>.<cell>.<domain>.<event>``: nine tokens at fixed places."""
    return _subject(event.source, event.subject, event.type, prefix)


@lru_cache(maxsize=4096)
def _subject(source: str, subject: str, type_: str, prefix: str) -> str:
    enterprise, site = source.split(":")[2:4]
    levels = [*subject.split("/")[:3], "_", "_", "_"][:3]
    domain, happening = type_.split(".")[-3:-1]
    return ".".join([prefix, *map(token, (enterprise, site, *levels, domain, happening))])


def token(text: str) -> str:
    """
    >>> token("Presse Süd.1")
    'presse-s-d-1'
    """
    return _NOT_TOKEN.sub("-", text.lower()).strip("-")[:32] or "_"
