"""Which decoders a topic has: matched once, then looked up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from drivers.mqtt.decode import BAD_DEVICE, Decoder, Gathered, compile_decoders
from drivers.mqtt.framing import RETAIN, Publish
from drivers.mqtt.topics import covers, fewest, is_wide, matches
from gateway.contract import Batch, RecordSpec, Tag

MAX_TOPICS = 10_000


class Routes:
    """Tags and records by topic; remembers at most `MAX_TOPICS` topics and begins anew beyond.

    of_tags, of_records   topic filters to subscribe to; none covers another
    """

    def __init__(self, tags: Sequence[Tag], records: Sequence[RecordSpec]) -> None:
        self._tags = tags
        self._rows: defaultdict[str, list[Tag | RecordSpec]] = defaultdict(list)
        rows: list[Tag | RecordSpec] = [*tags, *records]
        for row in rows:
            self._rows[row.options.topic].append(row)
        self._wide = [pattern for pattern in self._rows if is_wide(pattern)]
        self._known: dict[bytes, Sequence[Decoder]] = {}
        asked = {record.options.topic for record in records}
        needed = fewest(self._rows)
        self.of_tags = [pattern for pattern in needed if pattern not in asked]
        self.of_records = [pattern for pattern in needed if pattern in asked]

    def decode(self, messages: Iterable[Publish], now_ns: int) -> Gathered:
        """What the messages say, in their order."""
        into = Gathered()
        known = self._known
        for topic, payload, command, _, properties in messages:
            decoders = known.get(topic)
            if decoders is None:
                decoders = self._learn(topic)
            if payload is None:
                into.lose("message_too_large")
                continue
            for decode in decoders:
                decode(payload, command & RETAIN != 0, properties, now_ns, into)
            if not decoders:
                into.lose("topic_unknown")
        return into

    def refused(self, filters: Iterable[str], now_ns: int) -> Batch:
        """Bad readings for the tags the broker gives us nothing of."""
        lost = [tag.index for tag in self._tags if any(covers(refused, tag.options.topic) for refused in filters)]
        return Batch.of(lost, [now_ns] * len(lost), [float("nan")] * len(lost), [BAD_DEVICE] * len(lost))

    def _learn(self, topic: bytes) -> Sequence[Decoder]:
        if len(self._known) >= MAX_TOPICS:
            self._known.clear()
        name = topic.decode(errors="replace")
        rows = list(self._rows.get(name, ()))
        for pattern in self._wide:
            if matches(pattern, name):
                rows += self._rows[pattern]
        tags = sorted([row for row in rows if isinstance(row, Tag)], key=lambda tag: tag.index)
        decoders = compile_decoders(tags, [row for row in rows if isinstance(row, RecordSpec)])
        self._known[topic] = decoders
        return decoders
