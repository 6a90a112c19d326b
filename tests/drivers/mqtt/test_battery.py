"""The battery of `gateway.testkit` against every broker; `tests/plugins` runs it against mosquitto in clear text."""

from __future__ import annotations

from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

import pytest

from gateway.testkit.checks import source_checks
from gateway.testkit.rigs.mqtt import Rig
from gateway.testkit.servers.mqtt import Amqtt, Mosquitto, NatsMqtt, require_mosquitto


def secure() -> Rig:
    """TLS 1.3, a certificate of ours, a password, version 5."""
    require_mosquitto()
    broker = Mosquitto(tls=True, password="s3cret", extra="require_certificate true")
    ours = {"ca": broker.ca, "certificate": broker.client_certificate, "user": "edge"}
    return Rig(broker, options=ours | {"password": {"secret": "broker"}, "version": "5"}, credentials=ours | {"password": "s3cret"})


def old() -> Rig:
    require_mosquitto()
    return Rig(options={"version": "3.1.1"})


# amqtt is a process of Python, slow to start: here it is long, and beside it are test_session.py and test_subscriptions.py.
RIGS: dict[str, Callable[[], Rig]] = {
    "mosquitto-tls": secure,
    "mosquitto-3.1.1": old,
    "amqtt": lambda: Rig(Amqtt(), options={"version": "3.1.1"}),
    "nats-server": lambda: Rig(NatsMqtt()),
}


@pytest.mark.parametrize("check", source_checks.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("rig", [pytest.param(name, marks=[pytest.mark.long] if name == "amqtt" else []) for name in RIGS])
async def test_battery(rig: str, check: Callable[[Any], Any]) -> None:
    if iscoroutinefunction(check):
        await check(RIGS[rig]())
    else:
        check(RIGS[rig]())
