"""The receiver is asked whether it wants events of ours, before the first of them.

Source: CloudEvents, "HTTP 1.1 Web Hooks for Event Delivery" 1.0, section 4 (abuse protection).
"""

from __future__ import annotations

import asyncio
import logging

from gateway.contract import NotConnected, UplinkContext
from gateway.uplink.https.answers import excerpt
from gateway.uplink.https.config import HttpsOptions
from gateway.uplink.https.link import Link, Unanswered
from gateway.uplink.https.oauth import LoginRefused

log = logging.getLogger("lineside")


def origin_of(options: HttpsOptions, context: UplinkContext) -> str:
    """The name we ask under, in the form of a DNS name: of all gateways of a site. Empty: nobody is asked."""
    if isinstance(options.validate_webhook, str):
        return options.validate_webhook
    _, _, enterprise, site, *_ = context.source.split(":")
    return f"lineside.{site}.{enterprise}" if options.validate_webhook else ""


async def ask(link: Link, options: HttpsOptions, origin: str) -> str:
    """The requests a minute that are permitted, as the receiver writes them; empty: it does not say. Raises NotConnected.

    The status says nothing: whoever does not know of this may answer OPTIONS with 200, too.
    """
    try:
        async with asyncio.timeout(options.timeout):
            answer = await link.options(options.path, {"WebHook-Request-Origin": origin})
    except (LoginRefused, Unanswered) as exc:
        raise NotConnected(link.peer, str(exc)) from exc
    except TimeoutError as exc:
        raise NotConnected(link.peer, f"no answer to OPTIONS within {options.timeout:g} s") from exc
    permitted = answer.headers.get("webhook-allowed-origin", "").strip()
    if permitted.lower() not in ("*", origin.lower()):
        said = f"for {excerpt(permitted)!r}" if permitted else "no WebHook-Allowed-Origin"
        raise NotConnected(link.peer, f"does not permit events of {origin}: OPTIONS was answered {answer.status}, {said}"[:300])
    return excerpt(answer.headers.get("webhook-allowed-rate", ""))


async def shake(link: Link, options: HttpsOptions, context: UplinkContext) -> None:
    """When the connection is made, if the options want it; says in the log how many requests are permitted. Raises NotConnected."""
    if origin := origin_of(options, context):
        facts = {"destination": context.name, "origin": origin, "requests_a_minute": await ask(link, options, origin) or "not said"}
        log.info("the receiver permits events", extra={"fields": facts})
