"""The part of a metric that is a tag: the value itself, a member of a template, a cell of a data set, an element of an array. Pure."""

from __future__ import annotations

from math import nan
from typing import Any

from drivers.sparkplug.config import SparkplugTag
from drivers.sparkplug.datatypes import BAD_FORMAT, BAD_LENGTH, BAD_TYPE, element, number
from gateway.contract import BAD, GOOD, Quality

MOST_NESTED = 10
GOOD_CODE, STALE_CODE, UNCERTAIN_CODES = 192, 500, range(64, 192)
MISSING: Any = None
TEMPLATE = "template_value"


def value(metric: Any) -> Any:
    """What its value field holds; None without one."""
    chosen = metric.WhichOneof("value")
    return None if chosen is None else getattr(metric, chosen)


def told_quality(metric: Any) -> int:
    """By its property ``Quality``, if it has one: 192 good, 500 stale, 0 bad, as OPC numbers them."""
    if not metric.HasField("properties"):
        return GOOD
    for key, told in zip(metric.properties.keys, metric.properties.values, strict=False):
        if key == "Quality" and told.WhichOneof("value") in ("int_value", "long_value"):
            code = int(value(told))
            if code in UNCERTAIN_CODES:
                return int(Quality.UNCERTAIN)
            return GOOD if GOOD_CODE <= code < 256 else BAD
    return GOOD


def part(metric: Any, path: str | None) -> Any:
    """What a tag reads: the metric itself, or the member of its template; `MISSING` if there is none."""
    return metric if path is None else member(metric, path)


def pick(metric: Any, datatype: int, tag: SparkplugTag) -> tuple[float, int]:
    """(value, quality) of a `part`; `datatype`: its own, from its birth if it does not say so itself."""
    if metric is MISSING:
        return nan, BAD_FORMAT
    if metric.is_null:
        return nan, BAD
    told = told_quality(metric)
    got, quality = _part(value(metric), datatype, tag)
    return (got, quality) if told == GOOD else (nan if told >= BAD else got, max(told, quality))


def _part(raw: Any, datatype: int, tag: SparkplugTag) -> tuple[float, int]:
    if tag.column is not None:
        return cell(raw, tag)
    if tag.element is not None:
        return element(raw, datatype, tag.element, tag.states)
    return number(raw, datatype, tag.states)


def member(metric: Any, path: str, depth: int = 0) -> Any:
    """The metric inside its template that `path` names; names may hold slashes and dots themselves. `MISSING` if there is none."""
    if metric.WhichOneof("value") != TEMPLATE or depth > MOST_NESTED:
        return MISSING
    for inner in metric.template_value.metrics:
        name = inner.name
        if name == path:
            return inner
        if name and path[: len(name)] == name and path[len(name)] in "/." and (deeper := member(inner, path[len(name) + 1 :], depth + 1)):
            return deeper
    return MISSING


def cell(raw: Any, tag: SparkplugTag) -> tuple[float, int]:
    """(value, quality) of a cell of a data set."""
    if not hasattr(raw, "columns"):
        return nan, BAD_FORMAT if raw is None else BAD_TYPE
    names = list(raw.columns)
    if tag.column not in names:
        return nan, BAD_FORMAT
    at, row = names.index(tag.column), _row(raw, tag.row)
    if row is None or at >= len(row.elements):
        return nan, BAD_LENGTH
    return number(value(row.elements[at]), raw.types[at] if at < len(raw.types) else 0, tag.states)


def _row(raw: Any, which: int | str) -> Any:
    if isinstance(which, int):
        return raw.rows[which] if -len(raw.rows) <= which < len(raw.rows) else None
    return next((row for row in raw.rows if row.elements and str(value(row.elements[0])) == which), None)
