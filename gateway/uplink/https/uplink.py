"""Posts CloudEvents with aiohttp; never follows a redirect, never reads an endless answer."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

import aiohttp

from gateway.contract import Event, NotConnected, Outcome, OutcomeKind, UplinkContext
from gateway.events.codec import BATCH, STRUCTURED, batch, structured
from gateway.uplink.https.answers import outcome
from gateway.uplink.https.config import HttpsOptions

_BODY_MOST = 64 * 1024
_NOT_NOW = (OutcomeKind.RETRY, OutcomeKind.HOLD)


class _Sending:
    """Outcomes so far, and what the untried ones get: after the first "not now" nothing more is tried."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self._outcomes: list[Outcome | None] = [None] * len(events)
        self.stop: Outcome | None = None
        self.lost: NotConnected | None = None

    def told(self, first: int, count: int, got: Outcome) -> None:
        self._outcomes[first : first + count] = [got] * count
        if got.kind in _NOT_NOW:
            self.stop = self.stop or got

    def fails(self, exc: NotConnected) -> None:
        self.lost = exc
        self.stop = self.stop or Outcome.retry(str(exc))

    def hung(self, why: str) -> None:
        """What was under way may have been taken."""
        self.lost, self.stop = None, Outcome.retry(why)

    def result(self) -> list[Outcome]:
        """Raises NotConnected when nothing was answered at all."""
        if self.lost is not None and not any(self._outcomes):
            raise self.lost
        rest = self.stop or Outcome.retry("not tried")
        return [got or rest for got in self._outcomes]


class HttpsUplink:
    """One session with keep-alive. A whole batch that is refused is halved within the call until the bad event is alone."""

    def __init__(self, options: HttpsOptions, context: UplinkContext) -> None:
        self._options, self._context = options, context
        parts = urlsplit(options.https)
        self._peer = f"{parts.scheme}://{parts.netloc}"
        self._session: aiohttp.ClientSession | None = None

    async def connect(self) -> None:
        options = self._options
        headers = dict(options.headers)
        if options.token:
            headers["Authorization"] = f"Bearer {self._context.secret(options.token)}"
        try:
            context = ssl.create_default_context(cafile=options.ca) if options.https.startswith("https") else None
        except OSError as exc:
            raise NotConnected(self._peer, f"ca {options.ca} cannot be used: {exc}") from exc
        await self._reach(context)
        self._session = aiohttp.ClientSession(
            headers=headers,
            connector=aiohttp.TCPConnector(ssl=context or False, limit=options.concurrency),
            timeout=aiohttp.ClientTimeout(total=None),  # `send` has its own for all its requests together
        )

    async def _reach(self, context: ssl.SSLContext | None) -> None:
        """Open a connection and close it again: a wrong name, port or certificate shows before an event waits."""
        parts, seconds = urlsplit(self._options.https), min(9.0, self._options.timeout)
        try:
            async with asyncio.timeout(seconds):
                _, writer = await asyncio.open_connection(parts.hostname, parts.port or (443 if context else 80), ssl=context)
        except TimeoutError as exc:
            raise NotConnected(self._peer, f"no answer within {seconds:g} s") from exc
        except OSError as exc:
            raise NotConnected(self._peer, _in_words(exc)) from exc
        writer.transport.abort()

    async def send(self, events: Sequence[Event]) -> list[Outcome]:
        """See the contract."""
        if self._session is None:
            raise NotConnected(self._peer, "not connected")
        sending = _Sending(events)
        try:
            async with asyncio.timeout(self._options.timeout):
                if self._options.mode == "batch":
                    await self._batch(self._session, sending, 0, len(events))
                else:
                    await self._one_by_one(self._session, sending)
        except TimeoutError:
            sending.hung(f"no answer within {self._options.timeout:g} s")
        except NotConnected as exc:
            sending.fails(exc)
        return sending.result()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _one_by_one(self, session: aiohttp.ClientSession, sending: _Sending) -> None:
        """`concurrency` at once, but those of one machine one after the other, in order."""
        lanes: dict[str, list[int]] = {}
        for i, event in enumerate(sending.events):
            lanes.setdefault(event.partitionkey, []).append(i)
        queue = iter(lanes.values())

        async def slot() -> None:
            for i in (i for lane in queue for i in lane):
                if sending.stop:
                    return
                event = sending.events[i]
                headers = {"Content-Type": STRUCTURED, "Idempotency-Key": event.id}
                try:
                    sending.told(i, 1, await self._post(session, structured(event), headers))
                except NotConnected as exc:
                    sending.fails(exc)

        async with asyncio.TaskGroup() as slots:
            for _ in range(min(self._options.concurrency, len(lanes))):
                slots.create_task(slot())

    async def _batch(self, session: aiohttp.ClientSession, sending: _Sending, first: int, count: int) -> None:
        if count == 0 or sending.stop:
            return
        got = await self._post(session, batch(sending.events[first : first + count]), {"Content-Type": BATCH})
        if got.kind is OutcomeKind.PARK and count > 1:
            await self._batch(session, sending, first, count // 2)
            await self._batch(session, sending, first + count // 2, count - count // 2)
        else:
            sending.told(first, count, got)

    async def _post(self, session: aiohttp.ClientSession, body: bytes, headers: dict[str, str]) -> Outcome:
        """One request; raises NotConnected when there was no connection to send it on."""
        try:
            async with session.post(self._options.https, data=body, headers=headers, allow_redirects=False) as answer:
                said = "" if answer.status < 300 else (await answer.content.read(_BODY_MOST)).decode("utf-8", "replace")
                return outcome(answer.status, answer.headers.get("Retry-After"), said, self._context.clock.now_ns() / 1e9)
        except aiohttp.ClientConnectorError as exc:
            raise NotConnected(self._peer, _why(exc)) from exc
        except (aiohttp.ClientError, OSError) as exc:
            return Outcome.retry(f"unknown: {_why(exc)}")


def _why(exc: Exception) -> str:
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return f"certificate refused: {exc.certificate_error}"[:200]
    if type(exc) is aiohttp.ClientConnectorError:
        return _in_words(exc.os_error)
    return (str(exc) or type(exc).__name__)[:200]


def _in_words(exc: OSError) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"certificate refused: {exc.verify_message}"[:200]
    if not isinstance(exc, ssl.SSLError) and (exc.errno or 0) > 0:
        return os.strerror(exc.errno or 0).lower()
    return (str(exc) or type(exc).__name__)[:200]
