"""MQTT 3.1.1 and 5."""

from __future__ import annotations

from drivers.mqtt.config import MqttOptions, MqttRecord, MqttTag
from gateway.contract import Source, SourceContext, SourcePlugin


def build(options: MqttOptions, context: SourceContext) -> Source:
    from drivers.mqtt.source import MqttSource

    return MqttSource(options, context)


plugin = SourcePlugin(name="mqtt", options=MqttOptions, tag=MqttTag, record=MqttRecord, build=build)
