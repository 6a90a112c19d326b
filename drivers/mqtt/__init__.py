"""MQTT 3.1.1 and 5."""

from __future__ import annotations

from collections.abc import Sequence

from drivers.broker.connection import claim
from drivers.mqtt.config import MqttOptions, MqttRecord, MqttTag
from gateway.contract import Load, Source, SourceContext, SourcePlugin, Tag


def build(options: MqttOptions, context: SourceContext) -> Source:
    from drivers.mqtt.source import MqttSource

    return MqttSource(options, context)


def plan(options: MqttOptions, tags: Sequence[Tag]) -> Load:
    from drivers.mqtt.plan import plan as load

    return load(options, tags)


plugin = SourcePlugin(name="mqtt", options=MqttOptions, tag=MqttTag, record=MqttRecord, build=build, plan=plan, claim=claim)
