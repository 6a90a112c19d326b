"""A publish response, as far as we need it: whose it is, its number, and the bodies of its notifications. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from asyncua import ua
from asyncua.ua.ua_binary import nodeid_from_binary, struct_from_binary

DATA_CHANGE = ua.ObjectIds.DataChangeNotification_Encoding_DefaultBinary
STATUS_CHANGE = ua.ObjectIds.StatusChangeNotification_Encoding_DefaultBinary


@dataclass(frozen=True, slots=True)
class Published:
    """One notification message.

    subscription   id of the subscription it belongs to
    sequence       number to acknowledge; only a message with data has one of its own
    data           bodies of the data changes, in order
    ended          why the server ended the subscription, in its words; empty if it did not
    """

    subscription: int
    sequence: int
    data: tuple[bytes, ...]
    ended: str = ""


def parse(response: bytes) -> Published:
    """Read a PublishResponse (Part 4, 5.14.5; Part 6, 5.2) whose service result is good.

    raises UaError      the service result is bad
    raises ValueError   not a publish response
    """
    buffer = ua.utils.Buffer(response)
    try:
        nodeid_from_binary(buffer)
        struct_from_binary(ua.ResponseHeader, buffer).ServiceResult.check()
        (subscription,) = _read("<I", buffer)
        buffer.skip(4 * max(0, _read("<i", buffer)[0]))  # available sequence numbers
        _, sequence, _ = _read("<BIq", buffer)  # more notifications, number, publish time
        bodies = [_extension_object(buffer) for _ in range(max(0, _read("<i", buffer)[0]))]
    except (ua.uaerrors.UaStatusCodeError, ua.utils.NotEnoughData, struct.error, ValueError, TypeError, LookupError) as exc:
        if isinstance(exc, ua.uaerrors.UaStatusCodeError):
            raise
        raise ValueError(f"the server's publish response cannot be read: {exc or type(exc).__name__}") from exc
    ended = [_status(body) for kind, body in bodies if kind == STATUS_CHANGE]
    return Published(subscription, sequence, tuple(body for kind, body in bodies if kind == DATA_CHANGE), ended[-1] if ended else "")


def _read(layout: str, buffer: Any) -> tuple[Any, ...]:
    return struct.unpack(layout, buffer.read(struct.calcsize(layout)))


def _extension_object(buffer: Any) -> tuple[int | None, bytes]:
    """(type as an id of the standard namespace, body)."""
    type_id = nodeid_from_binary(buffer)
    (encoding,) = buffer.read(1)
    length = _read("<i", buffer)[0] if encoding else 0
    body = bytes(buffer.read(max(0, length)))
    return (type_id.Identifier if type_id.NamespaceIndex == 0 and isinstance(type_id.Identifier, int) else None), body


def _status(body: bytes) -> str:
    (code,) = struct.unpack_from("<I", body)
    return str(ua.status_codes.get_name_and_doc(code)[0])
