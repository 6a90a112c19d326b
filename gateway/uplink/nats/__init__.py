"""NATS JetStream."""

from __future__ import annotations

from gateway.contract import Uplink, UplinkContext, UplinkPlugin
from gateway.uplink.nats.config import NatsOptions


def build(options: NatsOptions, context: UplinkContext) -> Uplink:
    from gateway.uplink.nats.uplink import NatsUplink

    return NatsUplink(options, context)


plugin = UplinkPlugin(name="nats", options=NatsOptions, build=build)
