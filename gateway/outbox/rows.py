"""Events to rows and back, with the row's checksum."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import Any
from zlib import crc32

from gateway.contract import Event, Severity

COLUMNS = "seq,id,type,source,subject,time_ns,recorded_ns,severity,partitionkey,dataschema,correlationid,traceparent,data,crc,causationid"
INSERT = f"INSERT INTO event ({COLUMNS},copies) VALUES"
SELECTED = ",".join(f"e.{name}" for name in COLUMNS.split(","))
"""The columns `from_row` wants, of a table that is called e."""


_LINES = ["\n".join(["%s"] * count) for count in range(16)]
_SEVERITY = {int(severity): severity for severity in Severity}


def checksum(fields: tuple[Any, ...], data: bytes) -> int:
    """CRC-32 over everything that is sent: `fields` are the columns before `data`."""
    return crc32(data, crc32((_LINES[len(fields)] % fields).encode("utf-8", "surrogateescape")))


def to_row(event: Event, seq: int, copies: int) -> tuple[Any, ...]:
    """`copies`: to how many destinations it is addressed."""
    fields: tuple[Any, ...] = (
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
    )
    return (*fields, event.data, checksum(_sealed(fields, event.causationid), event.data), event.causationid, copies)


def _sealed(fields: tuple[Any, ...], causationid: str) -> tuple[Any, ...]:
    """What the checksum is over: an event without a cause has the checksum it had before there were causes."""
    return (*fields, causationid) if causationid else fields


def from_row(row: tuple[Any, ...]) -> Event | None:
    """None: the row was damaged on disk and must not be sent as good."""
    fields, (data, crc, cause) = row[:-3], row[-3:]
    if not isinstance(data, bytes) or checksum(_sealed(fields, cause), data) != crc:
        return None
    seq, identity, type_, source, subject, time_ns, recorded_ns, severity, key, schema, correlation, trace = fields
    return Event(
        id=identity,
        type=type_,
        source=source,
        subject=subject,
        time_ns=time_ns,
        recorded_ns=recorded_ns,
        severity=_SEVERITY[severity],
        partitionkey=key,
        dataschema=schema,
        correlationid=correlation,
        causationid=cause,
        traceparent=trace,
        data=data,
        sequence=seq,
    )


def fetch(connection: sqlite3.Connection, statement: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
    """All rows; text that a flipped bit made invalid is read all the same, so that its checksum can condemn it alone."""
    try:
        return connection.execute(statement, parameters).fetchall()
    except sqlite3.OperationalError as exc:
        if "decode" not in str(exc).lower():
            raise
    connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
    try:
        return connection.execute(statement, parameters).fetchall()
    finally:
        connection.text_factory = str
