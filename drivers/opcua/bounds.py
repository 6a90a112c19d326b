"""What a hostile server may make the library do: nothing beyond the bytes it sent.

asyncua 2.1 believes what a message announces: five bytes make it build an array of two thousand million Nones, two numbers
make it fill up a matrix of a million lists, and a chunk of four gigabytes is waited for. Values of items are read by `variant`,
without the library; the rest of what a server answers goes through these three bounds. A test pins that they take effect.
"""

from __future__ import annotations

from math import prod
from typing import Any

from asyncua import ua
from asyncua.client import ua_client
from asyncua.ua import ua_binary

from drivers.opcua.wire import FIXED

MOST_ELEMENTS = 100_000  # of an array whose elements have no fixed size: each is decoded on its own
LARGEST_CHUNK = 1024 * 1024  # we announce 65,535 bytes; some servers do not listen
LARGEST_MESSAGE = 16 * 1024 * 1024
_SMALLEST_CHUNK, _OUR_CHUNK = 8192, 65_535  # every server takes the one (Part 6, 7.1.2.4), and was told that we send the other
_OVERHEAD = 256  # of a chunk: headers, padding, signature

_array, _shape, _header = ua_binary.unpack_uatype_array, ua_binary._reshape, ua_client.header_from_binary


def _bounded_array(kind: Any, data: Any) -> Any:
    length = ua_binary.Primitives.Int32.unpack(data.copy())
    most = len(data) if kind.value in FIXED else min(len(data), MOST_ELEMENTS)
    if length > most or (length > 0 and kind == ua.VariantType.Null):
        raise ua.UaError(f"an array of {length} elements in {len(data)} bytes")
    return _array(kind, data)


def _bounded_shape(flat: Any, dimensions: Any) -> Any:
    if not dimensions or min(dimensions) < 0 or prod(dimensions) != len(flat):
        raise ua.UaError(f"{len(flat)} elements are not of dimensions {dimensions}")
    return _shape(flat, dimensions) if flat else []


def _bounded_header(data: Any) -> Any:
    header = _header(data)
    if not 0 <= header.body_size <= LARGEST_CHUNK:
        raise ua.UaStatusCodeError(ua.StatusCodes.BadTcpMessageTooLarge)
    return header


def agreed(limits: Any) -> int:
    """Bytes of the largest request the server takes, of what it acknowledged; and the library's limits put right.

    asyncua 2.1 takes what the server says of requests for what it may answer with: it would leave a server that takes requests of
    one chunk, and answers with two. We have announced no limits but the size of a chunk. Source: OPC UA Part 6, 7.1.2.4.
    """
    chunk, chunks = min(max(limits.max_recv_buffer, _SMALLEST_CHUNK), _OUR_CHUNK), limits.max_chunk_count
    largest = min(limits.max_message_size or LARGEST_MESSAGE, chunks * (chunk - _OVERHEAD) or LARGEST_MESSAGE)
    limits.max_send_buffer, limits.max_recv_buffer = chunk, LARGEST_CHUNK
    limits.max_message_size, limits.max_chunk_count = LARGEST_MESSAGE, 0
    return int(largest)


def install() -> None:
    """Once; again changes nothing."""
    ua_binary.unpack_uatype_array = _bounded_array
    ua_binary._reshape = _bounded_shape
    ua_client.header_from_binary = _bounded_header
