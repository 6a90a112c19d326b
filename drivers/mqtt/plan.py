"""What reading some tags costs, as far as that can be known: messages come as their senders like. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from drivers.broker.topics import fewest
from drivers.mqtt.config import MqttOptions, MqttTag
from drivers.mqtt.formats import TEXT, size
from drivers.mqtt.routes import topic_of_tag
from gateway.contract import Load, Tag

JSON_BYTES = 8
"""Of one sample in JSON, with its comma."""


def plan(options: MqttOptions, tags: Sequence[Tag]) -> Load:
    """Waveforms are counted by their rate; of everything else the notes say what decides it."""
    topics = {topic_of_tag(tag, options): tag.options for tag in tags}
    slow = sum(tag.options.kind != "waveform" for tag in tags)
    notes = []
    if slow:
        notes.append(f"how often {slow} tags come is for their senders to say; measured once it runs")
    if wide := [topic for topic in fewest(topics) if topic.split("/")[-1] == "#"]:
        notes.append(f"{', '.join(wide)}: everything below is sent here; what no tag reads of it is counted (topic_unknown)")
    if not tags:
        notes.append(f"records: one commit for all that came while the last was made, at most {options.receive_maximum} in flight")
    return Load(readings=0.0, bytes=sum(map(_bytes_per_second, topics.values())), notes=tuple(notes))


def _bytes_per_second(tag: MqttTag) -> float:
    if tag.kind != "waveform" or tag.rate_hz is None or tag.format is None:
        return 0.0
    return tag.rate_hz * tag.channels * (JSON_BYTES if tag.format in TEXT else size(tag.format))
