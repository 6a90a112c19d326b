"""CloudEvents over HTTPS."""

from __future__ import annotations

from gateway.contract import Uplink, UplinkContext, UplinkPlugin
from gateway.uplink.https.config import HttpsOptions


def build(options: HttpsOptions, context: UplinkContext) -> Uplink:
    from gateway.uplink.https.uplink import HttpsUplink

    return HttpsUplink(options, context)


plugin = UplinkPlugin(name="https", options=HttpsOptions, build=build)
