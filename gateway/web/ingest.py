"""``POST /ingest/<source>``: what systems that can only post give to a source of theirs."""

from __future__ import annotations

import asyncio
import zlib
from base64 import b64decode
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import msgspec
from aiohttp import web

from gateway.contract import Answer, Posted, Receiver
from gateway.telemetry.counts import Counts
from gateway.web.place import group

PATH: Final = "/ingest/{source}"
MOST_BYTES: Final = 10_000_000
MOST_BYTES_TOGETHER: Final = 2 * MOST_BYTES
BODY_SECONDS: Final = 30.0
RETRY_AFTER_SECONDS: Final = 5
_CHUNK: Final = 1 << 16


@dataclass
class Door:
    """Of one source. Shut: the source is there, but takes nothing now."""

    receiver: Receiver | None = None

    def serve(self, receiver: Receiver | None) -> None:
        self.receiver = receiver


class Ingest:
    """Knows which sources take what is posted; outlives the page and the sources.

    No source: 404. A source that is starting, stopping or lost: 503. Everything else the source answers, which also
    compares the token; until then a body is read, but not looked into.
    """

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._doors: dict[str, Door] = {}
        self._held: Counter[str] = Counter()  # bytes, by who sends them

    def door(self, name: str) -> Door:
        """A new one, shut. What still holds the one of before opens nothing any more."""
        self._doors[name] = door = Door()
        return door

    def keep(self, names: Collection[str]) -> None:
        """The others are no sources any more."""
        self._doors = {name: door for name, door in self._doors.items() if name in names}

    def routes(self) -> list[web.AbstractRouteDef]:
        return [web.post(PATH, self._post)]

    async def _post(self, request: web.Request) -> web.Response:
        name = request.match_info["source"]
        door = self._doors.get(name)
        if door is None:
            return _reply(Answer(404, {"error": "no source of this name takes what is posted"}))
        answer = await self._answer(request, door)
        self._counts.add("posts", 1, source=name, status=str(answer.status))
        return _reply(answer)

    async def _answer(self, request: web.Request, door: Door) -> Answer:
        body = _Body(self, request)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                content = await body.read() if door.receiver is not None else b""
            receiver = door.receiver
            if receiver is None:
                return Answer(503, {"error": "the source is starting, stopping or lost"})
            return await receiver(_posted(request, content))
        except TimeoutError:
            return Answer(408, {"error": f"the body did not come within {BODY_SECONDS:g} s"})
        except Refusal as exc:
            return exc.answer
        finally:
            self._held -= Counter({body.sender: body.counted})

    def count(self, size: int, sender: str) -> None:
        """Bytes in memory for posts that are not answered yet. Nobody has all of the room: who posts is known only by the whole post.
        Raises Refusal.
        """
        if self._held.total() + size > MOST_BYTES_TOGETHER or self._held[sender] + size > MOST_BYTES:
            raise Refusal(503, "too much is being posted at once")
        self._held[sender] += size


class Refusal(Exception):
    """Of a body, before anybody has looked into it."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.answer = Answer(status, {"error": why})


class _Body:
    """Reads a body piece by piece, so that neither a long one nor a bomb of zeros is ever held."""

    def __init__(self, ingest: Ingest, request: web.Request) -> None:
        self._ingest, self._request = ingest, request
        self._parts: list[bytes] = []
        self.sender, self.counted = group(request.remote or ""), 0

    async def read(self) -> bytes:
        encoding = _text(self._request.headers.get("Content-Encoding", "identity")).strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip"):
            raise Refusal(415, f"Content-Encoding {encoding}; taken are identity and gzip")
        if (self._request.content_length or 0) > MOST_BYTES:
            raise _too_large()
        unzip = None if encoding == "identity" else _Gzip()
        async for chunk in self._request.content.iter_chunked(_CHUNK):
            if unzip is None:
                self._add(chunk)
            else:
                unzip.feed(chunk)
                while part := unzip.next():
                    self._add(part)
        if unzip is not None and not unzip.whole:
            raise Refusal(400, "the gzip body is cut off")
        return b"".join(self._parts)

    def _add(self, part: bytes) -> None:
        if self.counted + len(part) > MOST_BYTES:
            raise _too_large()
        self._ingest.count(len(part), self.sender)
        self.counted += len(part)
        self._parts.append(part)


class _Gzip:
    """Unpacks one or several members (RFC 1952), never more than one piece at a time."""

    def __init__(self) -> None:
        self._unpack = zlib.decompressobj(wbits=31)
        self._packed = b""
        self._begun = False

    @property
    def whole(self) -> bool:
        return self._unpack.eof or not self._begun

    def feed(self, packed: bytes) -> None:
        self._packed += packed

    def next(self) -> bytes:
        """Empty: it needs more."""
        while self._packed:
            if self._unpack.eof:
                self._unpack = zlib.decompressobj(wbits=31)
            self._begun = True
            try:
                part = self._unpack.decompress(self._packed, _CHUNK)
            except zlib.error as exc:
                raise Refusal(400, f"no gzip body: {exc}") from exc
            self._packed = self._unpack.unused_data if self._unpack.eof else self._unpack.unconsumed_tail
            if part:
                return part
        return b""


def _posted(request: web.Request, body: bytes) -> Posted:
    def header(name: str) -> str:
        return _text(request.headers.get(name, ""))

    return Posted(content_type=header("Content-Type"), body=body, token=_token(header("Authorization")), key=header("Idempotency-Key"))


def _text(header: str) -> str:
    """Of a header as aiohttp has it. Bytes that are no UTF-8 are what old systems write, Latin-1: no half characters go further.

    >>> _text("M\\udcfcller"), _text("Müller")
    ('Müller', 'Müller')
    """
    raw = header.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _token(authorization: str) -> str:
    """The password of Basic too: old systems know nothing else.

    >>> _token("Bearer abc"), _token("Basic bWVzOmFiYw=="), _token("Digest abc")
    ('abc', 'abc', '')
    """
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return given.strip()
    if scheme.lower() == "basic":
        try:
            return b64decode(given, validate=True).decode().partition(":")[2]
        except ValueError:  # no base64, or no UTF-8 in it
            return ""
    return ""


def _too_large() -> Refusal:
    return Refusal(413, f"more than {MOST_BYTES // 1_000_000} MB, unpacked; post it in parts")


def _reply(answer: Answer) -> web.Response:
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": str(RETRY_AFTER_SECONDS)}}.get(answer.status, {})
    return web.Response(body=msgspec.json.encode(answer.body), status=answer.status, content_type="application/json", headers=headers)
