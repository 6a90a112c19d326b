"""Which decoders a topic has: matched once, then looked up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from drivers.broker.framing import RETAIN, Publish
from drivers.broker.topics import covers, fewest, is_wide, matches
from drivers.mqtt.config import MqttOptions, topic_of
from drivers.mqtt.decode import compile_decoders, is_binary
from drivers.mqtt.gathered import BAD_DEVICE, Decoder, Gathered
from drivers.mqtt.gunzip import MAGIC, TooLarge, gunzip
from drivers.mqtt.presence import Presence
from drivers.mqtt.properties import is_gzip
from gateway.contract import Batch, ConfigError, RecordSpec, Tag

MAX_TOPICS = 10_000


BOM = b"\xef\xbb\xbf"
"""Of UTF-8, as .NET writes it before a text."""


class Route(NamedTuple):
    """`text`: no payload of these decoders is a number or samples in bytes, which may begin like gzip or a BOM by chance."""

    decoders: Sequence[Decoder]
    text: bool


class Routes:
    """Tags and records by topic; remembers at most `MAX_TOPICS` topics and begins anew beyond.

    of_tags, of_records   topic filters to subscribe to, those that bring no record and those that do; none covers another
    named_by_records      topic filters of records
    birth                 topic of the device's state; empty if there is none
    Raises ConfigError for a tag without a topic.
    """

    def __init__(self, options: MqttOptions, tags: Sequence[Tag], records: Sequence[RecordSpec], *, machine: str) -> None:
        self._gzip, self._auto = options.compression == "gzip", options.compression == "auto"
        self._most_bytes = options.max_message_kilobytes * 1024
        self._tags = [(topic_of_tag(tag, options), tag) for tag in tags]
        self._rows: defaultdict[str, list[Tag | RecordSpec]] = defaultdict(list)
        for topic, tag in self._tags:
            self._rows[topic].append(tag)
        asked = [(topic_of(record.options.topic, machine=record.machine, record=record.name), record) for record in records]
        for topic, record in asked:
            self._rows[topic].append(record)
        self._presence: Presence | None = None
        self.birth, self._birth = "", b""
        if options.birth is not None:
            topic = topic_of(options.birth.topic, machine=machine)
            self._presence = Presence(options.birth, topic, tuple(tags))
            self.birth, self._birth = topic, topic.encode()
            self._rows[topic] += []
        self._wide = [pattern for pattern in self._rows if is_wide(pattern)]
        self._known: dict[bytes, Route] = {}
        self.named_by_records = {topic for topic, _ in asked}
        needed = fewest(self._rows)
        self.of_records = [pattern for pattern in needed if any(covers(pattern, topic) for topic in self.named_by_records)]
        self.of_tags = [pattern for pattern in needed if pattern not in self.of_records]
        if options.share and self.birth and self.birth not in needed:
            self.of_tags.append(self.birth)  # what covers it is shared: given to one of us, and without what is retained

    def decode(self, messages: Sequence[Publish], now_ns: int) -> Gathered:
        """What the messages say, in their order."""
        into = Gathered()
        if self._presence is None:
            self._decode(messages, now_ns, into)
            return into
        start = 0
        for at, message in enumerate(messages):
            if message[0] == self._birth and message[1] is not None:
                self._decode_present(self._presence, messages[start:at], now_ns, into)
                self._presence(message[1].removeprefix(BOM), now_ns, into)
                start = at
        self._decode_present(self._presence, messages[start:], now_ns, into)
        return into

    def refused(self, filters: Iterable[str], now_ns: int) -> Batch:
        """Bad readings for the tags the broker gives us nothing of."""
        lost = [tag.index for topic, tag in self._tags if any(covers(refused, topic) for refused in filters)]
        return Batch.of(lost, [now_ns] * len(lost), [float("nan")] * len(lost), [BAD_DEVICE] * len(lost))

    def _decode_present(self, presence: Presence, messages: Sequence[Publish], now_ns: int, into: Gathered) -> None:
        readings, blocks = len(into.readings), len(into.blocks)
        self._decode(messages, now_ns, into)
        if presence.away:
            into.spoil(readings, blocks)

    def _decode(self, messages: Sequence[Publish], now_ns: int, into: Gathered) -> None:
        known, gzip, auto = self._known, self._gzip, self._auto
        for topic, payload, command, _, properties in messages:
            route = known.get(topic)
            if route is None:
                route = self._learn(topic)
            decoders, text = route
            if payload is None:
                into.lose("message_too_large")
                continue
            if gzip or (text and auto and payload[:2] == MAGIC) or (auto and properties and is_gzip(properties)):
                try:
                    payload = gunzip(payload, self._most_bytes)
                except TooLarge:
                    into.lose("message_too_large")
                    continue
            if text and payload[:3] == BOM:
                payload = payload[3:]
            for decode in decoders:
                decode(payload, command & RETAIN != 0, properties, now_ns, into)
            if not decoders and topic != self._birth:
                into.lose("topic_unknown")

    def _learn(self, topic: bytes) -> Route:
        if len(self._known) >= MAX_TOPICS:
            self._known.clear()
        name = topic.decode(errors="replace")
        rows = list(self._rows.get(name, ()))
        for pattern in self._wide:
            if matches(pattern, name):
                rows += self._rows[pattern]
        tags = sorted([row for row in rows if isinstance(row, Tag)], key=lambda tag: tag.index)
        decoders = compile_decoders(tags, [row for row in rows if isinstance(row, RecordSpec)])
        route = self._known[topic] = Route(decoders, text=not any(is_binary(tag) for tag in tags))
        return route


def topic_of_tag(tag: Tag, options: MqttOptions) -> str:
    """Its own, else the source's for its name; raises ConfigError."""
    template = tag.options.topic or options.topic
    if template is None:
        raise ConfigError(f"tag {tag.path} has no topic, and the source has none for all")
    return topic_of(template, machine=tag.machine, tag=tag.name)
