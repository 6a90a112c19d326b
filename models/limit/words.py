"""The line a service engineer reads first."""

from __future__ import annotations

from gateway.contract import Tag

_DIGITS = 4
_ALL = 17  # digits that tell any two floats apart


def title(tag: Tag, side: str, level: int, value: float, limit: float) -> str:
    unit = f" {tag.options.unit}" if tag.options.unit else ""
    begin, end = f"{tag.machine}: {tag.name}", plain(limit)
    if side == "rate":
        told = f"{begin} changes by {apart(value, limit)}{unit}/s"
        return f"{told}, limit {end}" if level > 0 else f"{told}, which is back inside its limit {end}"
    if level <= 0:
        return f"{begin} {apart(value, limit)}{unit} is back inside its limits"
    return f"{begin} {apart(value, limit)}{unit} {'above' if side == 'high' else 'below'} {end}"


def apart(value: float, limit: float) -> str:
    """`value` with so many digits that it is seen on which side of `limit` it is; at least four.

    >>> apart(71.23456, 70.0), apart(70.00234, 70.0), apart(1234567.8, 1e6), apart(70.0, 70.0)
    ('71.23', '70.002', '1234568', '70')
    """
    shown = float(plain(limit))
    for digits in range(max(_DIGITS, len(str(int(abs(value))))), _ALL):
        text = f"{value:.{digits}g}"
        if (float(text) > shown, float(text) < shown) == (value > limit, value < limit):
            return text
    return f"{value:.{_ALL}g}"


def plain(limit: float) -> str:
    """As it was written.

    >>> plain(70.0), plain(1234567.5), plain(0.1)
    ('70', '1234567.5', '0.1')
    """
    return f"{limit:.15g}"
