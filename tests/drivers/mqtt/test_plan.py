from __future__ import annotations

from typing import Any

from drivers.mqtt import plugin
from drivers.mqtt.config import MqttOptions, MqttTag
from gateway.contract import Load, Tag

WAVE = {"topic": "vib", "kind": "waveform", "format": "int16le", "rate_hz": 12_000, "channels": 3}


def planned(*tags: dict[str, Any], **options: Any) -> Load:
    assert plugin.plan is not None
    rows = [Tag(n, "m", f"t{n}", MqttTag.model_validate(tag)) for n, tag in enumerate(tags)]
    return plugin.plan(MqttOptions.model_validate({"mqtt": "mqtt://h"} | options), rows)


def test_a_waveform_costs_its_samples_once_for_all_its_channels() -> None:
    load = planned(WAVE, WAVE | {"channel": 1})
    assert (load.bytes, load.readings, load.notes) == (72_000, 0, ())
    assert planned(WAVE | {"format": "json", "channels": 1}).bytes == 96_000


def test_what_cannot_be_known_is_said() -> None:
    (note,) = planned({"topic": "a"}, {"topic": "b"}).notes
    assert "2 tags" in note
    assert "for their senders to say" in note


def test_a_filter_for_everything_is_named() -> None:
    notes = planned({"topic": "plant/#"}, {"topic": "plant/a"}, {"topic": "b/#"}).notes
    assert notes[1].startswith("plant/#, b/#: everything below")


def test_records_are_committed_together() -> None:
    assert planned(receive_maximum=50).notes == ("records: one commit for all that came while the last was made, at most 50 in flight",)
