"""Posts CloudEvents with aiohttp; never follows a redirect, never reads an endless answer."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

import aiohttp

from gateway.contract import Event, NotConnected, Outcome, OutcomeKind, UplinkContext
from gateway.events.codec import BATCH, STRUCTURED, batch, structured
from gateway.uplink.https.answers import outcome
from gateway.uplink.https.config import HttpsOptions

_BODY_MOST = 64 * 1024


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
        except (OSError, ssl.SSLError) as exc:
            raise NotConnected(self._peer, f"ca {options.ca} cannot be used: {exc}") from exc
        self._session = aiohttp.ClientSession(
            headers=headers,
            connector=aiohttp.TCPConnector(ssl=context or False, limit=options.concurrency),
            timeout=aiohttp.ClientTimeout(total=options.timeout),
        )

    async def send(self, events: Sequence[Event]) -> list[Outcome]:
        """See the contract."""
        if self._session is None:
            raise NotConnected(self._peer, "not connected")
        try:
            async with asyncio.timeout(self._options.timeout) as deadline:
                if self._options.mode == "batch":
                    return await self._batch(self._session, events)
                return await self._one_by_one(self._session, events, deadline.when() or 0.0)
        except TimeoutError:
            return [Outcome.retry(f"no answer within {self._options.timeout:g} s")] * len(events)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _one_by_one(self, session: aiohttp.ClientSession, events: Sequence[Event], deadline: float) -> list[Outcome]:
        """In order per slot; after the first "not now" the rest is not tried."""
        outcomes: list[Outcome | None] = [None] * len(events)
        queue = iter(enumerate(events))
        stop: list[Outcome] = []

        async def slot() -> None:
            for i, event in queue:
                if stop:
                    return
                outcomes[i] = got = await self._post(session, structured(event), STRUCTURED, event.id)
                if got.kind in (OutcomeKind.RETRY, OutcomeKind.HOLD):
                    stop.append(got)

        try:
            async with asyncio.timeout_at(deadline - 0.05):
                async with asyncio.TaskGroup() as slots:
                    for _ in range(min(self._options.concurrency, len(events))):
                        slots.create_task(slot())
        except TimeoutError:
            stop.append(Outcome.retry(f"no answer within {self._options.timeout:g} s"))
        except ExceptionGroup as group:
            lost, other = group.split(NotConnected)
            if other or lost is None:
                raise
            if not any(outcomes):
                raise lost.exceptions[0] from None
            stop.append(Outcome.retry(str(lost.exceptions[0])))
        rest = Outcome.retry(stop[0].reason, stop[0].after_seconds) if stop else Outcome.retry("not tried")
        return [got or rest for got in outcomes]

    async def _batch(self, session: aiohttp.ClientSession, events: Sequence[Event]) -> list[Outcome]:
        got = await self._post(session, batch(events), BATCH, "")
        halve = got.kind is OutcomeKind.PARK and len(events) > 1
        if not halve:
            return [got] * len(events)
        middle = len(events) // 2
        return [*await self._batch(session, events[:middle]), *await self._batch(session, events[middle:])]

    async def _post(self, session: aiohttp.ClientSession, body: bytes, content_type: str, key: str) -> Outcome:
        headers = {"Content-Type": content_type} | ({"Idempotency-Key": key} if key else {})
        try:
            async with session.post(self._options.https, data=body, headers=headers, allow_redirects=False) as answer:
                said = "" if answer.status < 300 else (await answer.content.read(_BODY_MOST)).decode("utf-8", "replace")
                return outcome(answer.status, answer.headers.get("Retry-After"), said, self._context.clock.now_ns() / 1e9)
        except aiohttp.ClientConnectorError as exc:
            raise NotConnected(self._peer, _why(exc)) from exc
        except (aiohttp.ClientError, ssl.SSLError, OSError) as exc:
            return Outcome.retry(f"unknown: {_why(exc)}")


def _why(exc: Exception) -> str:
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return f"certificate refused: {exc.certificate_error}"[:200]
    return (str(exc) or type(exc).__name__)[:200]
