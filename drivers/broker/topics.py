"""Topic filters, MQTT 5.0 section 4.7. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PLACE = re.compile(r"\{\{|\}\}|\{([a-z]*)\}|[{}]")


def check_filter(text: str) -> str:
    """The filter itself; raises ValueError in the engineer's words."""
    if not text or len(text.encode()) > 65_535 or "\0" in text:
        raise ValueError("a topic has 1 to 65535 bytes")
    levels = text.split("/")
    if any("#" in level and level != "#" for level in levels) or "#" in levels[:-1]:
        raise ValueError(f"{text!r}: # stands alone and last, for example plant/#")
    if any("+" in level and level != "+" for level in levels):
        raise ValueError(f"{text!r}: + stands for a whole level, for example plant/+/speed")
    if levels[0] == "$share" and (len(levels) < 3 or not levels[1] or levels[1] in "+#"):
        raise ValueError(f"{text!r}: a shared subscription is $share/group/topic")
    return text


def fill(template: str, **names: str) -> str:
    """The topic of one tag out of a template; ``{{`` and ``}}`` are braces. Raises ValueError for what is no name.

    >>> fill("plant/{machine}/{tag}/value", machine="press-1", tag="oil")
    'plant/press-1/oil/value'
    """

    def put(place: re.Match[str]) -> str:
        whole, name = place.group(), place.group(1)
        if name is None and len(whole) == 2:
            return whole[0]
        if name not in names:
            known = " or ".join(f"{{{one}}}" for one in names)
            raise ValueError(f"{template!r}: {whole} stands for nothing; write {known}, and {{{{ or }}}} for a brace itself")
        return names[name]

    return _PLACE.sub(put, template)


def matches(pattern: str, topic: str) -> bool:
    """True if a message of `topic` belongs to the filter `pattern`.

    >>> matches("a/+/c", "a/b/c"), matches("a/#", "a"), matches("#", "$SYS/uptime")
    (True, True, False)
    """
    wanted, levels = _levels(pattern), topic.split("/")
    if topic.startswith("$") and wanted[0] in "+#":
        return False
    for position, want in enumerate(wanted):
        if want == "#":
            return True
        if position >= len(levels) or want not in ("+", levels[position]):
            return False
    return len(wanted) == len(levels)


def covers(wide: str, narrow: str) -> bool:
    """True if every topic of `narrow` is also one of `wide`."""
    if wide.startswith("$share/") or narrow.startswith("$share/"):
        return wide == narrow
    wanted, levels = wide.split("/"), narrow.split("/")
    if narrow.startswith("$") and wanted[0] in "+#":
        return False
    for position, want in enumerate(wanted):
        if want == "#":
            return True
        if position >= len(levels) or levels[position] == "#" or want not in ("+", levels[position]):
            return False
    return len(wanted) == len(levels)


def fewest(filters: Iterable[str]) -> list[str]:
    """The filters without those another one covers: a broker may send a message once for each filter it matches.

    >>> fewest(["a/b", "a/+", "c"])
    ['a/+', 'c']
    """
    distinct = list(dict.fromkeys(filters))
    wide = [one for one in distinct if is_wide(one)]
    return [one for one in distinct if not any(other != one and covers(other, one) for other in wide)]


def is_wide(pattern: str) -> bool:
    """True if the filter stands for more than one topic, or shares it."""
    return "+" in pattern or "#" in pattern or pattern.startswith("$share/")


def _levels(pattern: str) -> list[str]:
    levels = pattern.split("/")
    return levels[2:] if levels[0] == "$share" else levels
