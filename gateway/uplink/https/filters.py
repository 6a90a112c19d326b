"""The filters of templates. Pure, bounded, and total: a value that does not fit raises Unfit, nothing else.

A filter's maker gets the arguments as they are written and says at once (TemplateError) when they make no sense. What is
missing or null goes through every filter but `default` and `json` as it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, TypeAlias
from unicodedata import normalize

import msgspec

from gateway.uplink.https.lines import CUT, readable
from gateway.uplink.https.paths import MISSING

_LONGEST = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0", ""}
_encode = msgspec.json.Encoder().encode

Args: TypeAlias = Sequence[Any]
Named: TypeAlias = Mapping[str, Any]
Apply: TypeAlias = Callable[[Any], Any]
Cuts: TypeAlias = Counter[str]
"""How many fields each template has cut short, or left empty because what belongs there does not fit."""


class TemplateError(ValueError):
    """A template that cannot be used; names it."""


class Unfit(Exception):
    """An event that does not fit a template; says why."""


def text(value: Any) -> str:
    """As it stands in the middle of other text.

    >>> text(True), text(1.5), text({"a": [1]})
    ('true', '1.5', '{"a":[1]}')
    """
    return value if isinstance(value, str) else to_json(value)


def to_json(value: Any) -> str:
    try:
        return _encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise Unfit(f"cannot be written as JSON: {exc}"[:200]) from exc


def _number(value: Any) -> int | float:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float):
        return value
    try:
        found = float(str(value).strip()[:40])
    except ValueError as exc:
        raise Unfit(f"{str(value)[:40]!r} is no number") from exc
    if found != found or abs(found) == float("inf"):
        raise Unfit(f"{str(value)[:40]!r} is no finite number")
    return int(found) if found.is_integer() and abs(found) < 2**53 else found


def _round(digits: Any = 0) -> Apply:
    count = _whole(digits, 0, 12)

    def apply(value: Any) -> int | float:
        return round(_number(value), count or None)

    return apply


def _length(found: str) -> int:
    """In UTF-16, as most receivers count (Java, .NET, JavaScript): what lies beyond the first 65,536 characters is two of them."""
    return len(found) if found.isascii() else len(found.encode("utf-16-le", "surrogatepass")) // 2


def _beginning(found: str, most: int) -> str:
    """At most so long, without half a character at its end."""
    return found[:most].encode("utf-16-le", "surrogatepass")[: 2 * most].decode("utf-16-le", "ignore")


def _truncate(longest: Any, *, cuts: Cuts, label: str) -> Apply:
    most = _whole(longest, 1, _LONGEST)

    def apply(value: Any) -> str:
        found = text(value)
        if _length(found) <= most:
            return found
        cuts[label] += 1
        return _beginning(found, most - 1) + CUT

    return apply


def _lines(longest: Any = 100, *, cuts: Cuts, label: str) -> Apply:
    most = _whole(longest, 1, 1000)

    def apply(value: Any) -> str:
        found, whole = readable(value, most)
        if not whole:
            cuts[label] += 1
        return found

    return apply


def _within(least: Any, most: Any, *, cuts: Cuts, label: str) -> Apply:
    """A number that is not the true one would be worse than none."""
    if not all(isinstance(end, int | float) and not isinstance(end, bool) for end in (least, most)) or not least < most:
        raise TemplateError("needs two numbers, the smaller one first, for example within(0, 100)")

    def apply(value: Any) -> int | float | None:
        found = _number(value)
        if least <= found <= most:
            return found
        cuts[label] += 1
        return None

    return apply


def _at_most(longest: Any) -> Apply:
    most = _whole(longest, 1, _LONGEST)

    def apply(value: Any) -> str:
        found = text(value)
        if (length := _length(found)) > most:
            raise Unfit(f"is {length} characters long, at most {most} are allowed and it must not be cut")
        return found

    return apply


def moment(value: Any) -> datetime:
    """Of RFC 3339 text, or a number of seconds, milli-, micro- or nanoseconds since 1970, told apart by its size."""
    if isinstance(value, str):
        return _parsed(value)
    number = _number(value)
    scale = next((scale for least, scale in ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3)) if abs(number) >= least), 1)
    try:
        return _EPOCH + timedelta(microseconds=round(number * (1_000_000 / scale)))
    except OverflowError as exc:
        raise Unfit(f"{value!r} is no time") from exc


@lru_cache(maxsize=64)
def _parsed(value: str) -> datetime:
    try:
        found = datetime.fromisoformat(value.strip()[:40])
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise Unfit(f"{value[:40]!r} is no time") from exc


def _iso(digits: Any = 3, separator: Any = "T") -> Apply:
    count = _whole(digits, 0, 6)
    if separator not in ("T", " "):
        raise TemplateError('separates date and time by "T" or " "')

    def apply(value: Any) -> str:
        found = moment(value)
        fraction = f".{found.microsecond:06d}"[: count + 1] if count else ""
        end = "Z" if separator == "T" else ""
        return f"{found.year:04d}-{found:%m-%d}{separator}{found:%H:%M:%S}{fraction}{end}"

    return apply


def _epoch_ms(value: Any) -> int:
    return (moment(value) - _EPOCH) // timedelta(milliseconds=1)


def _map(**table: Any) -> Apply:
    if not table:
        raise TemplateError('needs pairs, for example map(INFO=3, "true positive"=1, else=2)')
    otherwise = table.pop("else", MISSING)

    def apply(value: Any) -> Any:
        return table.get(text(value), otherwise)

    return apply


def _join(separator: Any = ", ") -> Apply:
    glue = str(separator)
    return lambda value: glue.join(map(text, value)) if isinstance(value, list) else text(value)


def _slug(value: Any) -> str:
    plain = normalize("NFKD", text(value)).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-")


def _bool(value: Any) -> bool:
    if isinstance(value, bool | int | float):
        return bool(value)
    word = text(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise Unfit(f"{word[:40]!r} is neither true nor false")
    return word in _TRUE


def _replace(old: Any, new: Any) -> Apply:
    if not isinstance(old, str) or not isinstance(new, str) or not old or len(new) > 100:
        raise TemplateError('replaces one text by another, for example replace(".", "/")')
    return lambda value: text(value).replace(old, new)


def _plain(apply: Apply) -> Callable[..., Apply]:
    def make() -> Apply:
        return apply

    return make


def _whole(value: Any, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise TemplateError(f"needs a whole number from {least} to {most}")
    return value


_MAKERS: Final[dict[str, Callable[..., Apply]]] = {
    "at_most": _at_most,
    "bool": _plain(_bool),
    "epoch_ms": _plain(_epoch_ms),
    "iso": _iso,
    "join": _join,
    "json": _plain(to_json),
    "lines": _lines,
    "lower": _plain(lambda value: text(value).lower()),
    "map": _map,
    "number": _plain(_number),
    "replace": _replace,
    "round": _round,
    "sha256": _plain(lambda value: sha256(text(value).encode("utf-8", "replace")).hexdigest()),
    "slug": _plain(_slug),
    "truncate": _truncate,
    "upper": _plain(lambda value: text(value).upper()),
    "within": _within,
}
_CUTTING: Final = {"lines", "truncate", "within"}
NAMES: Final = tuple(sorted([*_MAKERS, "default"]))


def make(name: str, args: Args, named: Named, cuts: Cuts, label: str) -> Apply:
    """Raises TemplateError for a filter that is not there or arguments that do not fit it."""
    maker = _MAKERS.get(name)
    if maker is None:
        raise TemplateError(f"there is no filter {name!r}; there are {', '.join(NAMES)}")
    more = {"cuts": cuts, "label": label} if name in _CUTTING else {}
    if named and name != "map":
        raise TemplateError(f"filter {name} takes no names")
    try:
        return maker(*args, **named, **more)
    except TypeError as exc:
        raise TemplateError(f"filter {name} does not take these arguments") from exc
    except TemplateError as exc:
        raise TemplateError(f"filter {name} {exc}") from exc
