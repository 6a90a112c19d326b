"""Which decoders a topic has: matched once, then looked up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from drivers.mqtt.decode import BAD_DEVICE, Decoder, Gathered, compile_decoders
from drivers.mqtt.framing import RETAIN, Publish
from drivers.mqtt.topics import covers, fewest, matches
from gateway.contract import Batch, RecordSpec, Tag

MAX_TOPICS = 10_000


class Routes:
    """Tags and records by topic; remembers at most `MAX_TOPICS` topics and begins anew beyond."""

    def __init__(self, tags: Sequence[Tag], records: Sequence[RecordSpec]) -> None:
        self._tags, self._records = tags, records
        self._known: dict[bytes, Sequence[Decoder]] = {}

    def filters(self) -> tuple[list[str], list[str]]:
        """(filters of tags, filters of records) to subscribe to; none covers another."""
        needed = fewest([row.options.topic for row in (*self._records, *self._tags)])
        of_records = {record.options.topic for record in self._records}
        return [f for f in needed if f not in of_records], [f for f in needed if f in of_records]

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
        decoders = compile_decoders(
            [tag for tag in self._tags if matches(tag.options.topic, name)],
            [record for record in self._records if matches(record.options.topic, name)],
        )
        self._known[topic] = decoders
        return decoders
