"""Events to rows and back, with the row's checksum. Pure."""

from __future__ import annotations

from typing import Any
from zlib import crc32

from gateway.contract import Event, Severity

COLUMNS = "seq,id,type,source,subject,time_ns,recorded_ns,severity,partitionkey,dataschema,correlationid,traceparent,data,crc"
INSERT = f"INSERT OR IGNORE INTO event ({COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608  no outside text


def checksum(identity: str, type_: str, subject: str, time_ns: int, data: bytes) -> int:
    return crc32(data, crc32(f"{identity}\n{type_}\n{subject}\n{time_ns}".encode()))


def to_row(event: Event, seq: int) -> tuple[Any, ...]:
    return (
        seq,
        event.id,
        event.type,
        event.source,
        event.subject,
        event.time_ns,
        event.recorded_ns,
        int(event.severity),
        event.partitionkey,
        event.dataschema,
        event.correlationid,
        event.traceparent,
        event.data,
        checksum(event.id, event.type, event.subject, event.time_ns, event.data),
    )


def from_row(row: tuple[Any, ...]) -> Event | None:
    """None: the row was damaged on disk and must not be sent as good."""
    seq, identity, type_, source, subject, time_ns, recorded_ns, severity, key, schema, correlation, trace, data, crc = row
    if checksum(identity, type_, subject, time_ns, data) != crc:
        return None
    return Event(
        id=identity,
        type=type_,
        source=source,
        subject=subject,
        time_ns=time_ns,
        recorded_ns=recorded_ns,
        severity=Severity(severity),
        partitionkey=key,
        dataschema=schema,
        correlationid=correlation,
        traceparent=trace,
        data=data,
        sequence=seq,
    )
