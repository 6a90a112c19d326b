"""One edge node as its messages show it: births, deaths, data in sequence, and when its births have to be asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from drivers.sparkplug.births import Birth
from drivers.sparkplug.gathered import Gathered
from drivers.sparkplug.order import Order
from drivers.sparkplug.pick import value
from drivers.sparkplug.values import read
from gateway.contract import Quality, Tag, Trouble

BAD_DEVICE = int(Quality.BAD_DEVICE)
NAMED = 10
NODE = ""
"""Stands for the edge node itself among its devices."""


class Message(NamedTuple):
    """``NDATA``, ``DBIRTH``, ... of a device or of the node itself."""

    kind: str
    device: str
    payload: Any


class Now(NamedTuple):
    """When messages came: wall clock, nanoseconds UTC; monotonic seconds."""

    ns: int
    seconds: float


class Node:
    """Its name is ``group/node``. `tags`: device -> metric -> tags. Devices without tags count in the sequence only.

    changed   what `dump` gives has changed since it was asked
    wanted    why its births are needed; empty: they are not
    due       monotonic seconds: when `look` has to be called
    """

    def __init__(self, name: str, tags: Mapping[str, Mapping[str, Sequence[Tag]]], *, every: float, wait: float) -> None:
        self.name, self._tags, self._every = name, tags, every
        self._order: Order[Message] = Order(wait)
        self._births: dict[str, Birth] = {}
        self._bd_seq: int | None = None
        self._sure = self._heard = self._probed = self._lost = False
        self._away: set[str] = set()
        self._retold = True
        self._bad_ns: dict[str, int] = {}
        self._clock = (0, 0.0)
        self._patience: float | None = None
        self._asked, self._next_ask = 0, 0.0
        self.changed, self.wanted = False, ""

    def connected(self, now: Now) -> int:
        """We were away: what it said meanwhile is not known. Returns how many messages waited for one that will not come now."""
        self._heard = self._probed = False
        self._asked = 0
        self._patience = now.seconds + self._every
        _, held = self._order.give_up()
        if held:
            self._order.expected = None
        if NODE not in self._births:
            self._want("its births are not known")
        return len(held)

    def receive(self, message: Message, now: Now, into: Gathered) -> None:
        """One message, in the order they came."""
        kind, payload = message.kind, message.payload
        if kind == "NDEATH":
            self._death(message, now, into)
        elif kind == "NBIRTH":
            before, after = self._order.born(payload.seq % 256 if payload.HasField("seq") else None)
            self._all(before, now, into)
            self._node_birth(message, now, into)
            self._all(after, now, into)
        elif NODE not in self._births:
            into.lose("birth_missing", len(payload.metrics) if message.device in self._tags else 0)
            self._want("its births are not known")
        else:
            self._in_order(message, now, into)

    def look(self, now: Now, into: Gathered) -> None:
        """What time brings: messages that never came, births that were asked for and did not."""
        if not self._retold:
            self._retold = True
            for device in sorted(self._away):
                into.tell(Trouble.LOST, self._named(device), "it was lost when the gateway ended, and nothing was heard since")
        if self._order.due is not None and now.seconds >= self._order.due:
            self._gap(now, into)
        if self._patience is not None and now.seconds >= self._patience:
            self._patience = None
            self._missed(now, into)

    @property
    def due(self) -> float | None:
        times = [0.0 if not self._retold else None, self._order.due, self._patience, self._next_ask if self.wanted else None]
        return min((each for each in times if each is not None), default=None)

    def ask(self, now: Now) -> bool:
        """True if a request for its births may be sent now; it counts as sent."""
        if not self.wanted or now.seconds < self._next_ask:
            return False
        self._next_ask, self.wanted = now.seconds + self._every, ""
        self._asked += 1
        self._patience = self._patience or self._next_ask
        return True

    def dump(self, *, closing: bool = False) -> dict[str, Any]:
        """For `load`, after a restart. The sequence number is told at the end only: before, it is that of long ago."""
        self.changed = False
        seq = self._order.expected if closing and self._sure else None
        births = {device: birth.dump() for device, birth in self._births.items()}
        return {"tags": self._digest(), "bd_seq": self._bd_seq, "seq": seq, "births": births, "lost": sorted(self._away)}

    def load(self, known: Any) -> None:
        """Of a file: what is not sound, or is of other tags, is left out. What was lost is told again: its trouble did not end with us."""
        try:
            self._away = {str(device) for device in known.get("lost", ())} & {NODE, *self._tags}
            self._retold = not self._away
            if known["tags"] != self._digest() or self._births:
                return
            births = {str(device): Birth.load(told, self._tags.get(device, {})) for device, told in known["births"].items()}
            bd_seq = None if known["bd_seq"] is None else int(known["bd_seq"])
            seq = None if known["seq"] is None else int(known["seq"]) % 256
        except (KeyError, TypeError, ValueError, AttributeError):
            return
        self._births, self._bd_seq, self._order.expected, self._sure = births, bd_seq, seq, seq is not None

    def _digest(self) -> str:
        named = sorted((device, metric, *_members(tags)) for device, metrics in self._tags.items() for metric, tags in metrics.items())
        return hashlib.sha256(json.dumps(named).encode()).hexdigest()

    def _in_order(self, message: Message, now: Now, into: Gathered) -> None:
        seq = message.payload.seq % 256 if message.payload.HasField("seq") else None
        if not self._heard:
            self._heard = True
            if seq is None or seq != self._order.expected:
                self._order.expected = seq
                self._doubt("messages were missed while we were away")
        if seq is None:
            self._deliver(message, now, into)
            return
        self._all(self._order.arrived(seq, message, now.seconds), now, into)
        if self._order.full():
            self._gap(now, into)

    def _all(self, messages: Sequence[Message], now: Now, into: Gathered) -> None:
        for message in messages:
            self._deliver(message, now, into)

    def _gap(self, now: Now, into: Gathered) -> None:
        missing, held = self._order.give_up()
        into.lose("sequence_gap", missing)
        self._doubt(f"{missing} messages are missing in its sequence")
        self._all(held, now, into)

    def _deliver(self, message: Message, now: Now, into: Gathered) -> None:
        kind, device, payload = message
        if payload.timestamp:
            self._clock = (payload.timestamp, now.seconds)
        if device not in self._tags:
            return
        if kind == "DBIRTH":
            self._device_birth(device, payload, now, into)
        elif kind == "DDEATH":
            if self._births.pop(device, None) is not None:
                self._device_gone(device, "it says that this device is gone", now, into)
        elif (birth := self._births.get(device)) is None:
            into.lose("birth_missing", len(payload.metrics))
            self._want(f"device {device} was not born")
        elif unknown := read(payload, birth, now.ns, into, sure=self._sure):
            into.lose("alias_unknown", unknown)
            self._doubt("it uses an alias that no birth told")

    def _node_birth(self, message: Message, now: Now, into: Gathered) -> None:
        payload = message.payload
        if payload.timestamp:
            self._clock = (payload.timestamp, now.seconds)
        self._births = {}
        self._bd_seq = _bd_seq(payload)
        self._sure = self._heard = True
        self.wanted, self._asked = "", 0
        self._patience = now.seconds + self._every
        self._lost = False
        self._away.discard(NODE)
        into.tell(Trouble.LOST, self.name, "")
        into.tell(Trouble.DEGRADED, self.name, "")
        self._born(NODE, payload, now, into)

    def _device_birth(self, device: str, payload: Any, now: Now, into: Gathered) -> None:
        self._away.discard(device)
        into.tell(Trouble.LOST, self._named(device), "")
        self._born(device, payload, now, into)

    def _born(self, device: str, payload: Any, now: Now, into: Gathered) -> None:
        wanted = self._tags.get(device, {})
        birth = self._births[device] = Birth()
        if wanted:
            birth.learn(payload.metrics, wanted)
        self.changed = True
        read(payload, birth, now.ns, into, sure=self._sure, born=True, not_before_ns=self._bad_ns.pop(device, 0))
        missing = [tag for metric, tags in wanted.items() if metric not in birth.metrics for tag in tags]
        into.bad(missing, self._its_time(now), BAD_DEVICE)

    def _death(self, message: Message, now: Now, into: Gathered) -> None:
        died = _bd_seq(message.payload)
        if died is not None and self._bd_seq is not None and died != self._bd_seq and not self._is_later(died):
            return  # of a connection it had before its last birth
        _, held = self._order.give_up()
        self._all(held, now, into)
        self._gone("it died" if died is None else f"it died (bdSeq {died})", now, into)

    def _is_later(self, died: int) -> bool:
        """Of a connection whose birth was missed, while we were away or in a gap: numbers count to 255 and begin anew."""
        return not (self._sure and self._heard) and self._bd_seq is not None and 0 < (died - self._bd_seq) % 256 < 128

    def _gone(self, why: str, now: Now, into: Gathered) -> None:
        """The node, and with it all of its devices: one trouble."""
        self.changed = self.changed or bool(self._births) or NODE not in self._away
        self._away.add(NODE)
        self._births, self._bd_seq, self._sure, self._lost = {}, None, False, True
        self._patience, self.wanted = None, ""
        into.tell(Trouble.LOST, self.name, why)
        for device in self._tags:
            self._bad(device, now, into)

    def _device_gone(self, device: str, why: str, now: Now, into: Gathered) -> None:
        self.changed = True
        self._away.add(device)
        into.tell(Trouble.LOST, self._named(device), why)
        self._bad(device, now, into)

    def _named(self, device: str) -> str:
        return f"{self.name}/{device}" if device else self.name

    def _bad(self, device: str, now: Now, into: Gathered) -> None:
        t_ns = self._bad_ns[device] = self._its_time(now)
        into.bad([tag for tags in self._tags.get(device, {}).values() for tag in tags], t_ns)

    def _its_time(self, now: Now) -> int:
        """By its own clock, as far as it was heard: else what it says next would seem older than its death."""
        told_ms, then = self._clock
        return told_ms * 1_000_000 + int((now.seconds - then) * 1e9) if 0 < told_ms < 2**43 else now.ns

    def _doubt(self, why: str) -> None:
        """A birth may have been missed: what aliases mean is as it was known."""
        self._sure = False
        self._want(why)

    def _want(self, why: str) -> None:
        self.wanted = self.wanted or why

    def _missed(self, now: Now, into: Gathered) -> None:
        """Enough time for births has passed."""
        if NODE not in self._births:
            if not self._lost:
                self._gone(f"no birth within {self._every:g} s of a request", now, into)
        elif not self._heard and self._probed:
            self._gone(f"nothing was heard for {2 * self._every:g} s, and a request was not answered", now, into)
        elif not self._heard:
            self._probed = True
            self._want("nothing was heard since we connected")
        elif self._sure:
            for device in sorted(self._tags.keys() - self._births.keys()):
                self._device_gone(device, f"no birth within {self._every:g} s of its node's", now, into)
        elif self._asked:
            why = f"a birth may have been missed, and {self._asked} requests for another were not answered"
            into.tell(Trouble.DEGRADED, self.name, why, requests=self._asked)


def _members(tags: Sequence[Tag]) -> list[str]:
    return sorted({tag.options.member for tag in tags if tag.options.member is not None})


def _bd_seq(payload: Any) -> int | None:
    """Number of the connection that a birth and its death belong to; None if it is not told."""
    told = next((metric for metric in payload.metrics if metric.name == "bdSeq"), None)
    number = None if told is None else value(told)
    return number if number.__class__ is int else None
