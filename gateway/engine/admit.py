"""What a source gives is looked at while its own task still runs: a driver that breaks the contract fails as a source, not as the core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gateway.contract import Batch, Item, LinesideError, Quality, Record, RecordSpec, Tag, Waveform

MOST_HERTZ, MOST_SECONDS = 1e12, 366 * 86400.0
_KNOWN = np.zeros(256, dtype=np.bool_)
_KNOWN[[int(each) for each in Quality]] = True
_COLUMNS = (("tag", np.int32), ("t_ns", np.int64), ("value", np.float64), ("quality", np.uint8))


class Unsound(LinesideError):
    """A driver gave what the contract does not have."""


class Admission:
    """Of one source: its tags and its messages are all it may speak of."""

    def __init__(self, tags: Sequence[Tag], records: Sequence[RecordSpec]) -> None:
        indices = [tag.index for tag in tags]
        self._tags = np.zeros(max(indices, default=-1) + 1, dtype=np.bool_)
        self._tags[indices] = True
        self._records = frozenset(record.path for record in records)

    def check(self, item: Item) -> None:
        """Raises Unsound."""
        if isinstance(item, Batch):
            self._batch(item)
        elif isinstance(item, Waveform):
            self._waveform(item)
        elif not isinstance(item, Record) or item.source not in self._records or not isinstance(item.fields, Mapping):
            raise Unsound("the driver gave a message that is not this source's")
        else:
            _time(item.t_ns)

    def _batch(self, batch: Batch) -> None:
        for name, kind in _COLUMNS:
            column = getattr(batch, name)
            if column.dtype != kind or column.shape != (len(batch.tag),):
                raise Unsound(f"the driver gave a column {name} of {column.dtype}{list(column.shape)}")
        if not len(batch):
            return
        if batch.tag.min() < 0 or batch.tag.max() >= len(self._tags) or not self._tags[batch.tag].all():
            raise Unsound("the driver gave readings of tags that are not this source's")
        if not _KNOWN[batch.quality].all():
            raise Unsound("the driver gave a quality that does not exist")

    def _waveform(self, block: Waveform) -> None:
        if not 0 <= block.tag < len(self._tags) or not self._tags[block.tag] or not _KNOWN[block.quality & 0xFF] or block.quality > 0xFF:
            raise Unsound("the driver gave a block of a tag that is not this source's, or of a quality that does not exist")
        if not 0 < block.rate_hz <= MOST_HERTZ or len(block.samples) > block.rate_hz * MOST_SECONDS or block.dropped < 0:
            raise Unsound(f"the driver gave a block of {block.rate_hz} samples a second")
        if block.samples.dtype != np.float32 or block.samples.ndim != 1:
            raise Unsound(f"the driver gave samples of {block.samples.dtype}{list(block.samples.shape)}")
        _time(block.t_ns)


def _time(t_ns: int) -> None:
    if not -(2**63) <= t_ns < 2**63:
        raise Unsound("the driver gave a time beyond 64 bits")
