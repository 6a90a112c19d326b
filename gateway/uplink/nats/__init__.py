"""NATS JetStream."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gateway.contract import Event, Feedback, Step, Uplink, UplinkContext, UplinkPlugin, import_without
from gateway.uplink.nats.config import NatsOptions


def build(options: NatsOptions, context: UplinkContext) -> Uplink:
    # JetStream is spoken here without the library's: a third of a megabyte that a gateway never uses.
    import_without("nats.aio.client", ("nats.js.client", "nats.js.manager"))
    from gateway.uplink.nats.uplink import NatsUplink

    return NatsUplink(options, context)


def feedback(options: NatsOptions, context: UplinkContext) -> Feedback | None:
    if not options.feedback:
        return None
    from gateway.uplink.nats.feedback import NatsFeedback

    return NatsFeedback(options, context)


def examine(options: NatsOptions, context: UplinkContext, event: Event | None) -> AsyncIterator[Step]:
    from gateway.uplink.nats.examine import steps

    return steps(options, context, event)


plugin = UplinkPlugin(name="nats", options=NatsOptions, build=build, feedback=feedback, examine=examine)
