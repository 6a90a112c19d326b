"""The one place that goes below the library's public API: publishes of a whole window as one write, and a close at once.

`Client.publish` checks and encodes each of 15 headers anew, about 50 µs of CPU an event; our header block is built in
one piece. A test pins what is used here, so that a new release of the library that changes it is noticed.
"""

from __future__ import annotations

from collections.abc import Sequence

from nats.aio.client import Client


def hpub(subject: str, reply: str, header: bytes, payload: bytes) -> bytes:
    """The protocol's HPUB command.

    >>> hpub("a.b", "_INBOX.1", b"NATS/1.0\\r\\n\\r\\n", b"{}")
    b'HPUB a.b _INBOX.1 12 14\\r\\nNATS/1.0\\r\\n\\r\\n{}\\r\\n'
    """
    return b"HPUB %b %b %d %d\r\n%b%b\r\n" % (subject.encode(), reply.encode(), len(header), len(header) + len(payload), header, payload)


async def send_raw(client: Client, commands: Sequence[bytes]) -> None:
    """Hand complete commands to the client's outgoing buffer; raises what its transport raises."""
    if commands:
        await client._send_command(b"".join(commands))
        await client._flush_pending()


def abort(client: Client) -> None:
    """Close the socket without waiting for what is still to be written."""
    writer = getattr(client._transport, "_io_writer", None)
    if writer is not None:
        writer.transport.abort()
