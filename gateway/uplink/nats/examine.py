"""The way of an event, step by step, each with what the administrator must change when it fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from gateway.contract import Event, NotConnected, OutcomeKind, Step, UplinkContext
from gateway.uplink.nats.config import NatsOptions
from gateway.uplink.nats.feedback import NatsFeedback
from gateway.uplink.nats.link import Link, reason
from gateway.uplink.nats.stream import look, probe
from gateway.uplink.nats.subjects import probe_subject, site_subjects, subject_of
from gateway.uplink.nats.uplink import NatsUplink

_REACH_SECONDS = 5.0
_PORT = 4222
_SYNC = (
    "a server writes to its disk every two minutes and acknowledges before: where a power cut there must lose nothing, "
    "its jetstream block needs sync_interval: always (it cannot be seen from here)"
)


async def steps(options: NatsOptions, context: UplinkContext, event: Event | None) -> AsyncIterator[Step]:
    """Stops at the first that fails. Without an event nothing is stored anywhere."""
    link = Link(options, context)
    try:
        for go in (_reach, _login, _stream, _permission):
            yield (step := await go(link, options, context))
            if not step.ok:
                return
    finally:
        await link.close()
    if event is not None:
        yield (step := await _delivery(event, options, context))
        if not step.ok:
            return
    if options.feedback:
        yield await _feedback(options, context)


async def _reach(_link: Link, options: NatsOptions, _context: UplinkContext) -> Step:
    answers = [await _greeting(server, options) for server in options.servers]
    said = ", ".join(f"{server}: {words}" for server, (_, words) in zip(options.servers, answers, strict=True))
    ok = any(reached for reached, _ in answers)
    return Step("reach", ok, said, "" if ok else "is the address right, is the server running, and is its port open in the firewall?")


async def _greeting(server: str, options: NatsOptions) -> tuple[bool, str]:
    """Whether it answers, and what; one that encrypts first says nothing before."""
    parts = urlsplit(server)
    try:
        async with asyncio.timeout(_REACH_SECONDS):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or _PORT)
            try:
                return True, "reached" if options.tls_first else _version(await reader.readline())
            finally:
                writer.transport.abort()
    except TimeoutError:
        return False, f"no answer within {_REACH_SECONDS:g} s"
    except (OSError, ValueError) as exc:
        return False, reason(exc)


def _version(line: bytes) -> str:
    """Raises ValueError when this is no NATS server."""
    if not line.startswith(b"INFO "):
        raise ValueError("what answers there is no NATS server")
    info: dict[str, Any] = json.loads(line[5:])
    return f"nats-server {info.get('version', '?')}"


async def _login(link: Link, options: NatsOptions, _context: UplinkContext) -> Step:
    try:
        await link.open()
    except NotConnected as exc:
        said, _, remedy = exc.why.partition("; ")
        return Step("login", False, said, remedy or _login_remedy(said.lower(), options))
    how = "encrypted" if options.encrypted else "not encrypted"
    return Step("login", True, f"as {_identity(options)}, {how}; answers come to {options.inbox_prefix}.>")


def _identity(options: NatsOptions) -> str:
    named = {"credentials": options.credentials, "nkey": options.nkey, "token": options.token}
    return f"user {options.user}" if options.user else next((name for name, given in named.items() if given), "nobody in particular")


def _login_remedy(said: str, options: NatsOptions) -> str:
    if "expired" in said:
        return "issue a new one: nsc edit user --expiry, nsc generate creds, and put it into the secret"
    if "authorization" in said:
        if _identity(options) == "nobody in particular" and not options.client_certificate:
            return "the server wants a login: set credentials, nkey, user and password, or token"
        return f"does the server know this login ({_identity(options)}), and is the secret the current one?"
    if "certificate is refused" in said:
        return "set ca to the authority that issued it, and use the host name that stands in it"
    if "offers no tls" in said:
        return "give the server a tls block, or write nats:// and leave ca, client_certificate and tls_first out"
    return "the server's log says more"


async def _stream(link: Link, options: NatsOptions, context: UplinkContext) -> Step:
    try:
        found = await look(link, options, context)
    except NotConnected as exc:
        return Step("stream", False, exc.why, "the server's log says more")
    if not found:
        return Step("stream", True, f"stream {options.stream} takes our subjects", _SYNC)
    if found[0].fatal:
        return Step("stream", False, found[0].said, found[0].remedy)
    return Step(
        "stream", True, "; ".join(complaint.said for complaint in found), "; ".join([*(complaint.remedy for complaint in found), _SYNC])
    )


async def _permission(link: Link, options: NatsOptions, context: UplinkContext) -> Step:
    try:
        complaint = await probe(link, options, context)
    except NotConnected as exc:
        return Step("permission", False, exc.why, "the server's log says more")
    if complaint:
        return Step("permission", False, complaint.said, complaint.remedy)
    subject = probe_subject(context.source, options.subject_prefix, own=options.exactly_once)
    return Step("permission", True, f"stream {options.stream} was asked through {subject}; nothing was stored")


async def _delivery(event: Event, options: NatsOptions, context: UplinkContext) -> Step:
    uplink = NatsUplink(options, context)
    subject = subject_of(event, options.subject_prefix, own=options.exactly_once)
    try:
        await uplink.connect()
        (outcome,) = await uplink.send([event])
    except NotConnected as exc:
        return Step("delivery", False, exc.why, "the server's log says more")
    finally:
        await uplink.close()
    if outcome.kind in (OutcomeKind.SENT, OutcomeKind.DUPLICATE):
        return Step("delivery", True, f"{event.id} is in stream {options.stream} as {subject} ({outcome.kind.value})")
    said, _, remedy = outcome.reason.partition("; ")
    allow = f'is publish on "{site_subjects(context.source, options.subject_prefix)}" allowed, and does the stream take it?'
    return Step("delivery", False, f"{subject}: {said}", remedy or allow)


async def _feedback(options: NatsOptions, context: UplinkContext) -> Step:
    feedback = NatsFeedback(options, context)
    try:
        await feedback.connect()
    except NotConnected as exc:
        said, _, remedy = exc.why.partition("; ")
        return Step("feedback", False, said, remedy or "does the stream exist, and may the user make a consumer on it?")
    finally:
        await feedback.close()
    return Step("feedback", True, f"verdicts come on {feedback.subject}, {feedback.how}")
