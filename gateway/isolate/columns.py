"""Items as frames and back; on the way back every one is held against what this source may give."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Batch, Item, Json, Quality, Record, RecordSpec, Tag, Waveform
from gateway.isolate.frames import Block, Broken, Columns, Message

MOST_READINGS = 1_000_000
MOST_ITEMS = 10_000
_QUALITIES = np.array(sorted(int(each) for each in Quality), dtype=np.uint8)
_DEEPEST = 100


def packed(items: Sequence[Item]) -> list[Columns | Block | Message]:
    """In the process."""
    return [_packed(item) for item in items]


def _packed(item: Item) -> Columns | Block | Message:
    if isinstance(item, Batch):
        return Columns(
            _bytes(item.tag, np.int32), _bytes(item.t_ns, np.int64), _bytes(item.value, np.float64), _bytes(item.quality, np.uint8)
        )
    if isinstance(item, Waveform):
        samples = _bytes(item.samples, np.float32)
        rate, speed, load = float(item.rate_hz), _maybe(item.speed_rpm), _maybe(item.load)
        return Block(int(item.tag), int(item.t_ns), rate, samples, int(item.quality), int(item.dropped), speed, load)
    return Message(item.source, int(item.t_ns), to_json(dict(item.fields)))


def _bytes(column: NDArray[Any], kind: Any) -> bytes:
    return np.ascontiguousarray(column, dtype=kind).tobytes()


def _maybe(number: float | None) -> float | None:
    return None if number is None else float(number)


class Judge:
    """In the gateway: makes items of frames. Everything raises Broken for what this source cannot have meant."""

    def __init__(self, tags: Sequence[Tag], records: Sequence[RecordSpec]) -> None:
        self._tags = np.array(sorted(tag.index for tag in tags), dtype=np.int32)
        self._records = frozenset(record.path for record in records)

    def items(self, frames: Sequence[Columns | Block | Message]) -> list[Item]:
        if len(frames) > MOST_ITEMS:
            raise Broken(f"{len(frames)} items at once")
        return [self._item(frame) for frame in frames]

    def _item(self, frame: Columns | Block | Message) -> Item:
        if isinstance(frame, Columns):
            return self._batch(frame)
        return self._waveform(frame) if isinstance(frame, Block) else self._record(frame)

    def _batch(self, frame: Columns) -> Batch:
        count = len(frame.quality)
        if count > MOST_READINGS or (len(frame.tag), len(frame.t_ns), len(frame.value)) != (4 * count, 8 * count, 8 * count):
            raise Broken("columns of different lengths")
        tag, quality = np.frombuffer(frame.tag, np.int32), np.frombuffer(frame.quality, np.uint8)
        if not np.isin(tag, self._tags).all():
            raise Broken("readings of tags that are not its own")
        if not np.isin(quality, _QUALITIES).all():
            raise Broken("a quality nobody knows")
        return Batch(tag, np.frombuffer(frame.t_ns, np.int64), np.frombuffer(frame.value, np.float64), quality)

    def _waveform(self, frame: Block) -> Waveform:
        if frame.tag not in self._tags or frame.quality not in _QUALITIES:
            raise Broken("a block of a tag that is not its own, or of a quality nobody knows")
        if not (math.isfinite(frame.rate_hz) and frame.rate_hz > 0 and frame.dropped >= 0 and len(frame.samples) % 4 == 0):
            raise Broken("a block of no rate, or of parts of samples")  # how long a block may be, the gateway's own admission knows
        if any(each is not None and not math.isfinite(each) for each in (frame.speed_rpm, frame.load)):
            raise Broken("a block at no speed or load that exists")
        _time(frame.t_ns)
        return Waveform(
            tag=frame.tag,
            t_ns=frame.t_ns,
            rate_hz=frame.rate_hz,
            samples=np.frombuffer(frame.samples, np.float32),
            quality=frame.quality,
            dropped=frame.dropped,
            speed_rpm=frame.speed_rpm,
            load=frame.load,
        )

    def _record(self, frame: Message) -> Record:
        fields = from_json(frame.fields)
        if frame.source not in self._records or not isinstance(fields, dict):
            raise Broken("a message that is not its own")
        _time(frame.t_ns)
        return Record(source=frame.source, t_ns=frame.t_ns, fields=fields)


def _time(t_ns: int) -> None:
    if not -(2**63) <= t_ns < 2**63:
        raise Broken("a time beyond 64 bits")


def to_json(value: Json) -> bytes:
    """Python's own, because it keeps NaN and numbers beyond 64 bits. Half a surrogate pair is nothing that can be written: ``?``."""
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")


def from_json(text: bytes) -> Json:
    """Raises Broken, also for what cannot be written again: nested too deeply, or half a surrogate pair."""
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as exc:
        raise Broken(f"no JSON: {exc}") from exc
    _shallow(value)
    return value


def _shallow(value: Json) -> None:
    level: list[Json] = [value]
    for _ in range(_DEEPEST):
        level = [inner for each in level if isinstance(each, dict | list) for inner in (each.values() if isinstance(each, dict) else each)]
        if not level:
            return
    raise Broken("nested too deeply")
