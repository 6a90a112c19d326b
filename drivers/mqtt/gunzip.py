"""Compressed payloads, without being blown up by one. Pure."""

from __future__ import annotations

import zlib

MAGIC = b"\x1f\x8b"
MOST_MEMBERS = 100
"""Each costs what is left of the payload; a sender that compresses piece by piece makes some."""
_GZIP = 16 + zlib.MAX_WBITS


class TooLarge(Exception):
    """It becomes larger than allowed."""


def gunzip(payload: bytes, most_bytes: int) -> bytes:
    """The content, at most `most_bytes`; empty if the payload is no gzip or damaged. Raises TooLarge, having made no more than that.

    >>> import gzip
    >>> gunzip(gzip.compress(b"21.5"), 100)
    b'21.5'
    """
    parts: list[bytes] = []
    for _ in range(MOST_MEMBERS):
        if not payload:
            break
        stream = zlib.decompressobj(_GZIP)
        try:
            parts.append(stream.decompress(payload, most_bytes + 1))
        except zlib.error:
            return b""
        most_bytes -= len(parts[-1])
        if most_bytes < 0:
            raise TooLarge
        if not stream.eof:
            return b""
        payload = stream.unused_data
    return b"" if payload else b"".join(parts)
