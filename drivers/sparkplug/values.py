"""The metrics of one message to readings of tags."""

from __future__ import annotations

from typing import Any

import numpy as np

from drivers.sparkplug.births import Birth, Metric
from drivers.sparkplug.datatypes import BAD_FORMAT, BAD_NOT_FINITE, array
from drivers.sparkplug.gathered import BACKFILLED, Gathered
from drivers.sparkplug.pick import MISSING, TEMPLATE, part, pick, told_quality, value
from gateway.contract import GOOD, UNCERTAIN, Tag, Waveform

LATEST_MS = (2**63 - 1) // 1_000_000
_UNKNOWN = object()


def read(payload: Any, birth: Birth, now_ns: int, into: Gathered, *, sure: bool, born: bool = False, not_before_ns: int = 0) -> int:
    """Returns how many metrics have an alias that no birth told.

    sure            False: a birth may have been missed, so good is uncertain
    born            it is a birth, whose templates are whole; those of data have the members that changed, and say nothing of others
    not_before_ns   a birth says what is now: a value from before this time is as old as the message
    """
    unknown, sent = 0, payload.timestamp
    for told in payload.metrics:
        name = told.name
        metric: Any = birth.metrics.get(name) if name else birth.aliases.get(told.alias, _UNKNOWN)
        if metric is None:
            continue
        if metric is _UNKNOWN:
            unknown += told.HasField("alias")
            continue
        t_ns = _ns(told.timestamp or sent, now_ns)
        historical = told.is_historical
        if t_ns < not_before_ns and not historical:
            t_ns = _ns(sent, now_ns)
        for tag in metric.tags:
            found, datatype = _part(told, metric, tag)
            if found is MISSING and not born and told.WhichOneof("value") == TEMPLATE:
                continue
            if tag.options.kind == "waveform":
                into.blocks.append(_block(found, datatype, tag, t_ns))
                continue
            got, quality = pick(found, datatype, tag.options)
            if quality == GOOD:
                quality = BACKFILLED if historical else GOOD if sure else UNCERTAIN
            into.readings.append((tag.index, t_ns, got, quality))
    return unknown if birth.whole else 0


def _part(told: Any, metric: Metric, tag: Tag) -> tuple[Any, int]:
    """What the tag reads, and its datatype: data may leave it to the birth."""
    found, path = part(told, tag.options.member), tag.options.member
    known = metric.datatype if path is None else metric.members.get(path, 0)
    return found, known if found is MISSING else found.datatype or known


def _ns(ms: int, now_ns: int) -> int:
    """Of a time in milliseconds; without one, when it came. Beyond int64 it is cut to it."""
    return min(ms, LATEST_MS) * 1_000_000 if ms else now_ns


def _block(metric: Any, datatype: int, tag: Tag, t_ns: int) -> Waveform:
    found = None if metric is MISSING or metric.is_null else array(value(metric), datatype)
    if found is None:
        return Waveform(tag=tag.index, t_ns=t_ns, rate_hz=tag.options.rate_hz, samples=np.zeros(0, np.float32), quality=BAD_FORMAT)
    with np.errstate(over="ignore"):
        samples = found.astype(np.float32)
    quality = told_quality(metric) if np.isfinite(samples).all() else BAD_NOT_FINITE
    return Waveform(tag=tag.index, t_ns=t_ns, rate_hz=tag.options.rate_hz, samples=samples, quality=quality)
