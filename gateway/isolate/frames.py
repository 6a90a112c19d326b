"""What the gateway and the process of a source say to each other: a length, then MessagePack.

Downwards goes what the gateway made itself, so the options travel as a pickle, as `multiprocessing` does it. Upwards nothing is a
pickle: the process may be in a stranger's hands.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

LARGEST: Final = 32 << 20
"""Bytes of one answer to `Read`; of what is posted through, too."""
LARGEST_NOTE: Final = 64 << 10
"""Bytes of everything else that comes up."""
HEAD: Final = struct.Struct("<I")


class Broken(ValueError):
    """These bytes, or what they say, are nothing a source may tell."""


class Setup(msgspec.Struct, tag=True):
    """First of all. `plugin` is the entry point's value, `given` the pickle of options and what the context holds."""

    plugin: str
    given: bytes
    megabytes: int
    beat_seconds: float


class Connect(msgspec.Struct, tag=True):
    """With the secrets that this source's options name, as they are now; what could not be resolved stands in `missing`, with why."""

    number: int
    secrets: dict[str, str]
    missing: dict[str, str]


class Read(msgspec.Struct, tag=True):
    number: int


class Close(msgspec.Struct, tag=True):
    """Ends what runs, then closes."""

    number: int


class Post(msgspec.Struct, tag=True):
    number: int
    content_type: str
    body: bytes
    token: str
    key: str


class Beat(msgspec.Struct, tag=True):
    """The process' loop turns."""


class Columns(msgspec.Struct, tag=True):
    """A Batch: the bytes of its columns, in the machine's own order."""

    tag: bytes
    t_ns: bytes
    value: bytes
    quality: bytes


class Block(msgspec.Struct, tag=True):
    """A Waveform."""

    tag: int
    t_ns: int
    rate_hz: float
    samples: bytes
    quality: int
    dropped: int
    speed_rpm: float | None
    load: float | None


class Message(msgspec.Struct, tag=True):
    """A Record; its fields are JSON."""

    source: str
    t_ns: int
    fields: bytes


class Done(msgspec.Struct, tag=True):
    """Of `Setup` (its number is 0), `Connect`, `Read` or `Close`."""

    number: int
    items: list[Columns | Block | Message] = []


class Failed(msgspec.Struct, tag=True):
    """It raised. `kind`: ``lost``, ``config``, ``end``, or ``bug`` for what the contract does not know."""

    number: int
    kind: str
    peer: str = ""
    why: str = ""
    login: bool = False


class Dropped(msgspec.Struct, tag=True):
    reason: str
    count: int


class Skipped(msgspec.Struct, tag=True):
    count: int


class Filled(msgspec.Struct, tag=True):
    from_ns: int
    to_ns: int
    count: int


class Told(msgspec.Struct, tag=True):
    """Health; `facts` is JSON."""

    trouble: str
    active: bool
    why: str
    device: str
    severity: int
    facts: bytes


class Serves(msgspec.Struct, tag=True):
    on: bool


class Answered(msgspec.Struct, tag=True):
    """To `Post`; `body` is JSON."""

    number: int
    status: int
    body: bytes


Down: TypeAlias = Setup | Connect | Read | Close | Post
Up: TypeAlias = Beat | Done | Failed | Dropped | Skipped | Filled | Told | Serves | Answered

_encode = msgspec.msgpack.Encoder().encode
_up = msgspec.msgpack.Decoder(Up)
_down = msgspec.msgpack.Decoder(Down)


def pack(frame: Down | Up) -> bytes:
    body = _encode(frame)
    return HEAD.pack(len(body)) + body


def down(body: bytes) -> Down:
    frame: Down = _down.decode(body)
    return frame


async def next_up(reader: asyncio.StreamReader, largest: Callable[[], int]) -> tuple[Up, int]:
    """(frame, its bytes). `largest` is asked when it begins. Raises Broken; IncompleteReadError at the end."""
    (size,) = HEAD.unpack(await reader.readexactly(HEAD.size))
    if size > largest():
        raise Broken(f"a message of {size} bytes")
    body = await reader.readexactly(size)
    try:
        return _up.decode(body), size
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Broken(str(exc)) from exc
