"""The way of an event, step by step, each with what the administrator must change when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from gateway.contract import Event, NotConnected, Outcome, OutcomeKind, Step, UplinkContext
from gateway.uplink.https import paths
from gateway.uplink.https.answers import Answer
from gateway.uplink.https.config import CheckOptions, HttpsOptions
from gateway.uplink.https.handshake import ask, origin_of
from gateway.uplink.https.link import Link, Unanswered
from gateway.uplink.https.oauth import LoginRefused
from gateway.uplink.https.template import filled
from gateway.uplink.https.uplink import HttpsUplink

_REACH = (
    ("certificate refused", "set ca to the authority that issued the receiver's certificate, and use the host name that stands in it"),
    ("refuses our certificate", "give the receiver the authority of tls.client_cert, or renew that certificate"),
    ("cannot be used", "put the right file there; certificates and keys are PEM"),
    ("is not known", "is the host name right, and does this gateway's DNS server know it?"),
    ("refuses the way", "let the proxy pass this host and port, and check proxy.username and proxy.password"),
    ("proxy ", "is the proxy's address right, and is it running?"),
    ("secret ", "store the secret anew"),
)
_LOGIN = {
    "invalid_client": "check auth.client_id and auth.client_secret; the secret may have expired",
    "invalid_client_id": "check auth.client_id",
    "unauthorized_client": "allow this grant for the app at the receiver",
    "unsupported_grant_type": "is auth.token_url the right endpoint, and is this flow enabled for the app?",
    "invalid_scope": "check auth.scope",
    "invalid_app_access": "allow the user to use the app at the receiver",
    "invalid_grant": "check auth.username, auth.audience and the clock; is the certificate at the receiver the one of auth.private_key, "
    "and has an administrator approved the app for this user?",
}
_ARRIVED = (OutcomeKind.SENT, OutcomeKind.DUPLICATE)


async def steps(options: HttpsOptions, context: UplinkContext, event: Event | None) -> AsyncIterator[Step]:
    """Stops at the first that fails. Without an event nothing is sent but questions."""
    link = Link(options, context)
    try:
        yield (step := await _reach(link, options))
        if not step.ok:
            return
        yield (step := await _login(link, options))
        if not step.ok:
            return
        if origin := origin_of(options, context):
            yield (step := await _permission(link, options, origin))
            if not step.ok:
                return
        for check in options.checks:
            yield (step := await _check(link, options, check))
            if not step.ok:
                return
    finally:
        await link.close()
    if event is not None:
        yield await _delivery(options, context, event)


async def _reach(link: Link, options: HttpsOptions) -> Step:
    try:
        await link.open()
    except NotConnected as exc:
        return Step("reach", False, str(exc), _reach_remedy(str(exc)))
    encrypted = "encrypted" if options.https.startswith("https") else "not encrypted, this machine"
    return Step("reach", True, f"{link.peer}, {encrypted}")


def _reach_remedy(said: str) -> str:
    known = (remedy for words, remedy in _REACH if words in said)
    return next(known, "is the address right, is the receiver running, and does the firewall let this gateway out?")


async def _login(link: Link, options: HttpsOptions) -> Step:
    kind = options.auth.kind
    if link.tokens is None:
        return Step("login", True, f"{kind}: it goes with each request, so it shows only there")
    try:
        async with asyncio.timeout(options.timeout):
            await link.log_in()
    except LoginRefused as exc:
        return Step("login", False, str(exc), _LOGIN.get(exc.code, "check everything under auth; the receiver's log says more"))
    except NotConnected as exc:
        return Step("login", False, str(exc), "is auth.token_url right, and does the firewall let this gateway reach it?")
    except TimeoutError:
        return Step("login", False, f"no answer within {options.timeout:g} s", "does the firewall let this gateway reach auth.token_url?")
    return Step("login", True, f"{kind}: a token was given")


async def _permission(link: Link, options: HttpsOptions, origin: str) -> Step:
    try:
        rate = await ask(link, options, origin)
    except NotConnected as exc:
        remedy = f"let the receiver answer OPTIONS with WebHook-Allowed-Origin: {origin}, or take validate_webhook away"
        return Step("permission", False, str(exc), remedy)
    return Step("permission", True, f"events of {origin} are wanted, requests a minute: {rate or 'not said'}")


async def _check(link: Link, options: HttpsOptions, check: CheckOptions) -> Step:
    path = filled(check.get, options.vars)
    try:
        async with asyncio.timeout(options.timeout):
            answer = await link.get(path)
        said = _complaint(answer, check)
    except (NotConnected, LoginRefused, Unanswered, ValueError) as exc:
        said = str(exc)
    except TimeoutError:
        said = f"no answer within {options.timeout:g} s"
    if said:
        return Step(check.name, False, f"GET {path}: {said}"[:300], check.remedy)
    return Step(check.name, True, f"GET {path}")


def _complaint(answer: Answer, check: CheckOptions) -> str:
    """Empty: none. Raises ValueError."""
    if not answer.taken:
        return f"{answer.status} {answer.said()}"
    if check.ok is not None and not paths.condition(check.ok)(answer.document()):
        return f"{check.ok} does not hold"
    return ""


async def _delivery(options: HttpsOptions, context: UplinkContext, event: Event) -> Step:
    uplink = HttpsUplink(options, context)
    try:
        await uplink.connect()
        (outcome,) = await uplink.send([event])
    except NotConnected as exc:
        return Step("delivery", False, str(exc), _reach_remedy(str(exc)))
    finally:
        await uplink.close()
    if outcome.kind in _ARRIVED:
        return Step("delivery", True, f"{event.id} was taken ({outcome.kind.value})")
    return Step("delivery", False, f"{event.id}: {outcome.kind.value} {outcome.reason}", _delivery_remedy(outcome))


def _delivery_remedy(outcome: Outcome) -> str:
    said = outcome.reason
    if "credentials" in said or "login" in said or "token" in said:
        return "check auth; may this login write there?"
    if "allowance" in said:
        return "wait, or get a larger allowance from the receiver; budget limits what this gateway uses"
    if "no such address" in said or "redirects" in said:
        return "check https, path and mode: the receiver has nothing at this address"
    if outcome.kind is OutcomeKind.PARK:
        return "the receiver refuses the content: compare body.item with the receiver's fields, and their lengths and types"
    if outcome.kind is OutcomeKind.HOLD:
        return "set up at the receiver what it names, then try again"
    return "the receiver is busy or broken; its log says more"
