from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from drivers import mqtt
from drivers.mqtt.config import MqttOptions, MqttTag
from gateway.config import load


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
        ({"mqtt": "mqtt://h", "version": "3.1.1", "share": "g"}, "share needs version 5"),
        ({"mqtt": "mqtt://h", "share": "a/b"}, "pattern"),
        ({"mqtt": "mqtt://h", "topic": "plant/{machin}"}, "stands for nothing"),
        ({"mqtt": "mqtt://h", "birth": {"topic": "plant/+/state"}}, "one topic"),
        ({"mqtt": "mqtt://h", "birth": {"topic": "s", "online": "x", "offline": "x"}}, "the same word"),
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
        ({"topic": "a", "kind": "waveform", "format": "float32le", "rate_hz": 1, "value": "$.v"}, "a block"),
        ({"topic": "a", "rate_hz": 1000}, "for kind: waveform"),
        ({"topic": "a/{tga}"}, "stands for nothing"),
        ({"topic": "a/{tag"}, "stands for nothing"),
        ({"topic": "a/x{tag}#"}, "stands alone"),
        ({"topic": "a", "values": "$.v"}, "needs step"),
        ({"topic": "a", "values": "$.v", "value": "$.v", "step": "1s"}, "neither value"),
        ({"topic": "a", "step": "1s"}, "needs step"),
        ({"topic": "a", "format": "csv"}, "needs column"),
        ({"topic": "a", "column": 2}, "need format: csv"),
        ({"topic": "a", "column": 0, "format": "csv"}, "greater than or equal"),
        ({"topic": "a", "format": "float32le", "value": "$.v"}, "leave format out"),
        ({"topic": "a", "at_byte": 4}, "number in bytes"),
        ({"topic": "a", "format": "json"}, "for kind: waveform"),
        ({"topic": "a", "kind": "waveform", "format": "csv", "rate_hz": 1}, "format and rate_hz"),
        ({"topic": "a", "kind": "waveform", "format": "json", "rate_hz": 1, "header": "t_ns"}, "no header"),
        ({"topic": "a", "kind": "waveform", "format": "json", "rate_hz": 1, "sequence": "n"}, "no header"),
        ({"topic": "a", "kind": "waveform", "format": "int16le", "rate_hz": 1, "time": "$.t"}, "paths into JSON"),
        ({"topic": "a", "kind": "waveform", "format": "int16le", "rate_hz": 1, "header": ["t_ns", "t_s"]}, "one time"),
        ({"topic": "a", "kind": "waveform", "format": "int16le", "rate_hz": 1, "channels": 3, "channel": 3}, "from 0 to 2"),
    ],
)
def test_tags_that_cannot_work(options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        MqttTag.model_validate(options)


def test_ports_are_those_of_the_scheme() -> None:
    assert MqttOptions.model_validate({"mqtt": "mqtt://h"}).peer == ("h", 1883)
    assert MqttOptions.model_validate({"mqtt": "mqtts://h", "version": 5}).peer == ("h", 8883)


def test_a_tag_has_a_topic_or_its_source_has_one_for_all() -> None:
    without = MqttOptions.model_validate({"mqtt": "mqtt://h"})
    with pytest.raises(ValidationError, match="write one for all tags at the source"):
        MqttTag.model_validate({}, context={"source": without})
    template = MqttOptions.model_validate({"mqtt": "mqtt://h", "topic": "plant/{machine}/{tag}"})
    assert MqttTag.model_validate({"value": "$.v"}, context={"source": template}).topic is None


RECIPES = re.findall(r"```yaml\n(.*?)```", (Path(mqtt.__file__).parent / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("number", range(3))
def test_every_recipe_of_the_readme_is_a_configuration(number: int, tmp_path: Path) -> None:
    (tmp_path / "lineside.yaml").write_text(RECIPES[number], encoding="utf-8")
    assert load(tmp_path / "lineside.yaml", secrets=False).sources
    assert len(RECIPES) == 3
