"""The one place that goes below the library's public API. A test pins each thing used here, so that a new release is noticed.

publish     a whole window as one write: `Client.publish` checks and encodes each of 15 headers anew, about 50 µs an event
replies     what comes to our inbox goes to a plain function: the library's message object, its header parser, its queue and its
            task cost about 20 µs a reply
encryption  asked for and not offered is an error; the library would send the password in clear
loss        is told before the library tidies up, and nothing is flushed then: a hung peer would hold that up for ever
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from nats.aio.client import Client
from nats.errors import ConnectionClosedError
from nats.errors import Error as NatsError
from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

Replied = Callable[[int, bytes, bytes | None], None]


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
        with suppress(AttributeError):  # Python up to 3.11.3 forgets the protocol of a TLS transport that was closed twice: it is closed
            writer.transport.abort()


class Wire(Client):
    """A client whose replies go to `replied(ticket, payload, header)`; they come to ``<inbox>.<ticket>``.

    lost       told once, when the library gives the connection up
    encrypted  whether a connection in clear is an error
    """

    def __init__(self, replied: Replied, lost: Callable[[], None], *, encrypted: bool) -> None:
        super().__init__()
        self._ps = self._acks = _Parser(self)
        self._told, self._gone, self._must_encrypt = replied, lost, encrypted
        self._reply_sid, self._reply_inbox = -1, b""

    @property
    def asks_for_certificate(self) -> bool:
        return bool(self._server_info.get("tls_verify"))

    async def listen(self, inbox: str) -> None:
        """Subscribe to ``<inbox>.*``; a refusal comes to the client's error callback."""
        subscription = await self.subscribe(f"{inbox}.*")
        self._reply_sid, self._reply_inbox = subscription._id, inbox.encode()
        self._acks.takes(self._reply_inbox, self._reply_sid, self._told)

    async def heard(self) -> None:
        """Returns when the server has dealt with everything sent before; raises ConnectionClosedError when it is lost meanwhile.

        The library's `flush` lets its PING overtake what is still in the buffer.
        """
        pong: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._pongs.append(pong)
        await send_raw(self, [b"PING\r\n"])
        await pong

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        if sid != self._reply_sid:
            await super()._process_msg(sid, subject, reply, data, headers)  # type: ignore[arg-type]  # None without headers
        elif (ticket := subject[len(self._reply_inbox) + 1 :]).isdigit():
            self._told(int(ticket), data, headers)

    async def _close(self, status: int, do_cbs: bool = True) -> None:
        if do_cbs and not self.is_closed:
            self._gone()
        self._pending.clear()
        self._pending_data_size = 0
        for pong in self._pongs:  # the library would let whoever waits for one wait for ever
            if not pong.done():
                pong.set_exception(ConnectionClosedError())
                pong.exception()  # most are waited for by nobody
        abort(self)
        await super()._close(status, do_cbs)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if self._must_encrypt and info.get("tls_available"):
            info["tls_required"] = True
        await super()._process_info(info, initial_connection)

    def _connect_command(self) -> bytes:
        """The first thing we say, with the password in it."""
        if self._must_encrypt and not _is_encrypted(self._transport):
            raise NatsError("nats: the server offers no TLS")
        command: bytes = super()._connect_command()
        return command


def _is_encrypted(transport: Any) -> bool:
    return transport._io_writer.get_extra_info("sslcontext") is not None


class _Parser(Parser):
    """Takes replies without headers from the front of what was read; the rest goes the library's way."""

    _control: re.Pattern[bytes] | None = None

    def takes(self, inbox: bytes, sid: int, told: Replied) -> None:
        self._control, self._told = re.compile(rb"MSG %b\.(\d+) %d (\d+)\r\n" % (re.escape(inbox), sid)), told

    async def parse(self, data: bytes = b"") -> None:
        if self._control is not None and self.state == AWAITING_CONTROL_LINE:
            data = bytes(self.buf) + data
            self.buf.clear()
            position = 0
            while found := self._control.match(data, position):
                start, end = found.end(), found.end() + int(found[2])
                if len(data) < end + 2:
                    self.buf.extend(data[position:])
                    return
                self._told(int(found[1]), data[start:end], None)
                position = end + 2
            data = data[position:]
        await super().parse(data)
