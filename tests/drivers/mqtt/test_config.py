from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from drivers.mqtt.config import MqttOptions, MqttTag


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"mqtt": "http://h"}, "not supported"),
        ({"mqtt": "mqtt://h/topic"}, "not supported"),
        ({"mqtt": "mqtt://h:70000"}, "no valid port"),
        ({"mqtt": "mqtt://u:p@h"}, "credentials do not belong"),
        ({"mqtt": "mqtt://h", "ca": "/ca.pem"}, "mqtts:// only"),
        ({"mqtt": "mqtts://h", "key": "/k.pem"}, "key needs certificate"),
        ({"mqtt": "mqtt://h", "password": {"secret": "x"}}, "password needs user"),
        ({"mqtt": "mqtt://h", "keepalive": "100ms"}, "greater than or equal to 1"),
        ({"mqtt": "mqtt://h", "version": "4"}, "3.1.1"),
    ],
)
def test_options_that_cannot_work(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        MqttOptions.model_validate(options)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"topic": "a#"}, "stands alone"),
        ({"topic": "a", "value": "v"}, "begins with"),
        ({"topic": "a", "time": "$.t"}, "write value too"),
        ({"topic": "a", "value": "$.v", "quality": "$.q"}, "quality needs good"),
        ({"topic": "a", "kind": "waveform", "format": "float32le"}, "format and rate_hz"),
        ({"topic": "a", "kind": "waveform", "format": "float32le", "rate_hz": 1, "value": "$.v"}, "binary"),
        ({"topic": "a", "rate_hz": 1000}, "for kind: waveform"),
    ],
)
def test_tags_that_cannot_work(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        MqttTag.model_validate(options)


def test_ports_are_those_of_the_scheme() -> None:
    assert MqttOptions.model_validate({"mqtt": "mqtt://h"}).peer == ("h", 1883)
    assert MqttOptions.model_validate({"mqtt": "mqtts://h", "version": 5}).peer == ("h", 8883)
