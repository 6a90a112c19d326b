"""The host application: which messages belong to which edge node, and what is said to them. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from drivers.broker.framing import Publish
from drivers.sparkplug.config import SparkplugOptions, place
from drivers.sparkplug.gathered import Gathered
from drivers.sparkplug.node import Message, Node, Now
from drivers.sparkplug.schema import Payload, decode
from gateway.contract import ConfigError, Tag

NAMESPACE = "spBv1.0"
KINDS = {"NBIRTH": 4, "NDEATH": 4, "NDATA": 4, "DBIRTH": 5, "DDEATH": 5, "DDATA": 5}
"""And how many levels their topics have."""
MOST_TOPICS = 10_000
MOST_ASKED, ASKED_SECONDS = 10, 0.5


class Host:
    """Edge nodes by ``group/node``. Raises ConfigError for a tag without group or node."""

    def __init__(self, options: SparkplugOptions, tags: Sequence[Tag]) -> None:
        wanted: dict[str, dict[str, dict[str, list[Tag]]]] = {}
        for tag in tags:
            try:
                group, node, device, metric = place(tag, options)
            except ValueError as exc:
                raise ConfigError(str(exc)) from exc
            wanted.setdefault(f"{group}/{node}", {}).setdefault(device, {}).setdefault(metric, []).append(tag)
        every, wait = options.rebirth_every, options.sequence_wait
        self.nodes = {name: Node(name, metrics, every=every, wait=wait) for name, metrics in wanted.items()}
        self._topics: dict[bytes, tuple[Node, str, str] | None] = {}
        self._ask_at = 0.0
        self._most_bytes = options.max_message_kilobytes * 1024

    @property
    def filters(self) -> list[str]:
        """What to subscribe to: a filter with # is for the level above it, too."""
        return [f"{NAMESPACE}/{group}/+/{node}/#" for group, _, node in (name.partition("/") for name in self.nodes)]

    def take(self, messages: Iterable[Publish], now: Now, into: Gathered) -> None:
        """What the messages say, in their order."""
        topics = self._topics
        for topic, raw, _, _, _ in messages:
            whose = topics[topic] if topic in topics else self._learn(topic)
            if whose is None:
                continue
            node, kind, device = whose
            payload = None if raw is None else decode(raw, self._most_bytes)
            if payload is None:
                into.lose("message_too_large" if raw is None else "payload_malformed")
            else:
                node.receive(Message(kind, device, payload), now, into)

    def look(self, now: Now, into: Gathered) -> None:
        """What time brings."""
        for node in self.nodes.values():
            if node.due is not None and now.seconds >= node.due:
                node.look(now, into)

    def asks(self, now: Now) -> list[str]:
        """Topics of requests for births that are due now; few at once, for all births that come may be large."""
        if now.seconds < self._ask_at:
            return []
        asked: list[str] = []
        for name, node in self.nodes.items():
            if node.ask(now):
                group, _, edge = name.partition("/")
                asked.append(f"{NAMESPACE}/{group}/NCMD/{edge}")
                if len(asked) >= MOST_ASKED:
                    self._ask_at = now.seconds + ASKED_SECONDS
                    break
        return asked

    @property
    def due(self) -> float | None:
        """Monotonic seconds: when `look` or `asks` has something to do."""
        soonest = min((node.due for node in self.nodes.values() if node.due is not None), default=None)
        return None if soonest is None else max(soonest, self._ask_at) if any(n.wanted for n in self.nodes.values()) else soonest

    def _learn(self, topic: bytes) -> tuple[Node, str, str] | None:
        if len(self._topics) >= MOST_TOPICS:
            self._topics.clear()
        levels = topic.decode(errors="replace").split("/")
        kind = levels[2] if len(levels) > 2 else ""
        node = self.nodes.get(f"{levels[1]}/{levels[3]}") if len(levels) == KINDS.get(kind) else None
        whose = None if node is None else (node, kind, levels[4] if len(levels) > 4 else "")
        self._topics[topic] = whose
        return whose


def rebirth(now_ms: int = 0) -> bytes:
    """The command with which a host asks an edge node for its births, section 6.4.22."""
    payload: Any = Payload(timestamp=now_ms or time.time_ns() // 1_000_000)
    payload.metrics.add(name="Node Control/Rebirth", timestamp=payload.timestamp, datatype=11, boolean_value=True)
    return bytes(payload.SerializeToString())
