"""HTTPS: CloudEvents, webhooks, and CRMs by preset."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gateway.contract import Event, Feedback, Step, Uplink, UplinkContext, UplinkPlugin
from gateway.uplink.https.config import HttpsOptions


def build(options: HttpsOptions, context: UplinkContext) -> Uplink:
    from gateway.uplink.https.uplink import HttpsUplink

    return HttpsUplink(options, context)


def feedback(options: HttpsOptions, context: UplinkContext) -> Feedback | None:
    if options.feedback is None:
        return None
    from gateway.uplink.https.verdicts import LinkedFeedback

    return LinkedFeedback(options, options.feedback, context)


def examine(options: HttpsOptions, context: UplinkContext, event: Event | None) -> AsyncIterator[Step]:
    from gateway.uplink.https.examine import steps

    return steps(options, context, event)


plugin = UplinkPlugin(name="https", options=HttpsOptions, build=build, feedback=feedback, examine=examine)
