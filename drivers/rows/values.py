"""One cell or field to a number and its quality. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite, nan
from typing import Any, Literal, TypeAlias

from gateway.contract import GOOD, Quality

Decimals: TypeAlias = Literal[".", ","]
# Each digit can be matched in one way only: a cell of digits that is no number would hold the gateway for minutes otherwise.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
_WORDS = {"true": 1.0, "false": 0.0}
_BAD_TYPE, _BAD_FORMAT, _NOT_FINITE = int(Quality.BAD_TYPE), int(Quality.BAD_FORMAT), int(Quality.BAD_NOT_FINITE)


def number(raw: Any, decimal: Decimals, states: Mapping[str, float] | None) -> tuple[float, int]:
    """(value, quality): true is 1, a word is its state's number; what is no number is NaN with the reason.

    A text is a number with `decimal` as its decimal sign and no signs between thousands: who reads both ``1.234`` and
    ``1,234`` will one day read a value that is wrong by a factor of a thousand.

    >>> number("21,5", ",", None), number("21.5", ",", None), number(" RUN", ".", {"RUN": 1.0}), number(True, ".", None)
    ((21.5, 0), (nan, 19), (1.0, 0), (1.0, 0))
    """
    if isinstance(raw, str):
        return _text(raw.strip(), decimal, states)
    if not isinstance(raw, int | float):
        return nan, _BAD_TYPE
    try:
        value = float(raw)
    except OverflowError:
        return nan, _NOT_FINITE
    return (value, GOOD) if isfinite(value) else (nan, _NOT_FINITE)


def _text(text: str, decimal: Decimals, states: Mapping[str, float] | None) -> tuple[float, int]:
    if states is not None and text in states:
        return states[text], GOOD
    if text.lower() in _WORDS:
        return _WORDS[text.lower()], GOOD
    plain = text if decimal == "." else text.replace(".", "?").replace(",", ".")
    if _NUMBER.fullmatch(plain):
        value = float(plain)
        return (value, GOOD) if isfinite(value) else (nan, _NOT_FINITE)
    looks_like_one = text[:1].isdigit() or text[:1] in "+-"
    return nan, _BAD_FORMAT if looks_like_one or states is not None else _BAD_TYPE
