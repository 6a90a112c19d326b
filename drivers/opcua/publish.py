"""A publish response, as far as we need it: whose it is, its number, and the bodies of its notifications. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from asyncua import ua

from drivers.opcua.wire import Malformed, Reader, check

DATA_CHANGE = f"i={ua.ObjectIds.DataChangeNotification_Encoding_DefaultBinary}"
EVENTS = f"i={ua.ObjectIds.EventNotificationList_Encoding_DefaultBinary}"
MOST_BODIES = 20  # a server puts data changes, events and the end of the subscription into one each
STATUS_CHANGE = f"i={ua.ObjectIds.StatusChangeNotification_Encoding_DefaultBinary}"


@dataclass(frozen=True, slots=True)
class Published:
    """One notification message.

    subscription   id of the subscription it belongs to
    sequence       number to acknowledge; only a message with data has one of its own
    data           bodies of the data changes, in order
    events         bodies of the event lists, in order
    ended          why the server ended the subscription, in its words; empty if it did not
    """

    subscription: int
    sequence: int
    data: tuple[bytes, ...]
    events: tuple[bytes, ...] = ()
    ended: str = ""


def parse(response: bytes) -> Published:
    """Read a PublishResponse (Part 4, 5.14.5; Part 6, 5.2) whose service result is good.

    raises UaError      the service result is bad
    raises ValueError   not a publish response
    """
    reader = Reader(response)
    try:
        result = reader.header()
        check(result)
        subscription = reader.number("<I")
        reader.take(4 * reader.count(4))  # available sequence numbers
        reader.take(1)  # more notifications
        sequence = reader.number("<I")
        reader.take(8)  # publish time
        count = reader.count(3)
        if count > MOST_BODIES:
            raise Malformed(f"{count} notifications in one message")
        bodies = [reader.extension() for _ in range(count)]
        ended = [_status(body) for kind, body in bodies if kind == STATUS_CHANGE]
    except (Malformed, struct.error) as exc:
        raise ValueError(f"the server's publish response cannot be read: {exc}") from exc
    data, events = (tuple(body for kind, body in bodies if kind == wanted) for wanted in (DATA_CHANGE, EVENTS))
    return Published(subscription, sequence, data, events, ended[-1] if ended else "")


def _status(body: bytes) -> str:
    (code,) = struct.unpack_from("<I", body)
    return str(ua.status_codes.get_name_and_doc(code)[0])
